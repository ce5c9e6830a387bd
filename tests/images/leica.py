"""Writing of Leica LIF files, for tests: liffile reads them and nothing writes them."""

import struct

import numpy as np

#: Numbers of the axes in the file.
_IDS = {"X": 1, "Y": 2, "Z": 3, "T": 4, "M": 10}


def write_lif(path, images, *, size_m=1e-7):
    """Write images, by name, each an array with its axes: channels are written plane by plane."""
    elements, blocks = [], []
    for n, (name, (data, axes)) in enumerate(images.items()):
        strides = dict(zip(axes, data.strides, strict=True))
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{data.itemsize * 8}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" LUTName="{colour}" '
            f'IsLUTInverted="0" BytesInc="{i * strides.get("C", 0)}" BitInc="0"/>'
            for i, colour in enumerate(["Green", "Red", "Blue"][: _length(data, axes, "C")])
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{_IDS[axis]}" NumberOfElements="{length}" Origin="0" '
            f'Length="{size_m * (length - 1) * (5 if axis == "Z" else 1)}" Unit="m" BitInc="0" '
            f'BytesInc="{strides[axis]}"/>'
            for axis, length in reversed(list(zip(axes, data.shape, strict=True)))
            if axis != "C"
        )
        elements.append(
            f'<Element Name="{name}" Visibility="1"><Data><Image><ImageDescription>'
            f"<Channels>{channels}</Channels><Dimensions>{dimensions}</Dimensions>"
            f'</ImageDescription></Image></Data><Memory Size="{data.nbytes}" '
            f'MemoryBlockID="MemBlock_{n}"/></Element>'
        )
        blocks.append((f"MemBlock_{n}", np.ascontiguousarray(data).tobytes()))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project" Visibility="1">'
        f'<Memory Size="0" MemoryBlockID="MemBlock_x"/><Children>{"".join(elements)}</Children>'
        "</Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml)
        for name, content in blocks:
            named = name.encode("utf-16-le")
            head = struct.pack("<BQBI", 0x2A, len(content), 0x2A, len(name)) + named
            file.write(struct.pack("<II", 0x70, len(head)) + head + content)


def _length(data, axes, axis):
    return data.shape[axes.index(axis)] if axis in axes else 1
