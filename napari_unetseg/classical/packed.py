"""Arrays as text, for recipes."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from napari_unetseg.config import Config

_DType = Literal["uint8", "uint16", "int32", "float32"]

#: The largest array that is read back, in bytes: a damaged file must not fill the memory.
_LARGEST = 2**32


class PackedArray(Config):
    """An array: little-endian bytes in C order, deflated (zlib), in base64.

    Attributes
    ----------
    dtype : {'uint8', 'uint16', 'int32', 'float32'}
    shape : tuple of int
    data : str
    """

    dtype: _DType
    shape: tuple[int, ...]
    data: str

    @classmethod
    def of(cls, array: npt.NDArray[Any]) -> PackedArray:
        """Pack an array of one of these types.

        >>> PackedArray.of(np.arange(3, dtype=np.uint8)).array()
        array([0, 1, 2], dtype=uint8)
        """
        name = array.dtype.name
        values = np.asarray(array, np.dtype(name).newbyteorder("<"), order="C")
        text = base64.b64encode(zlib.compress(values.tobytes())).decode("ascii")
        return cls.model_validate({"dtype": name, "shape": array.shape, "data": text})

    def array(self) -> npt.NDArray[Any]:
        """Return the array.

        Raises
        ------
        ValueError
            If the text is not that of an array of this type and shape.
        """
        stored = np.dtype(self.dtype).newbyteorder("<")
        if any(n < 0 for n in self.shape):
            raise ValueError(f"its shape {self.shape} cannot be")
        n_bytes = math.prod(self.shape) * stored.itemsize
        if n_bytes > _LARGEST:
            raise ValueError(f"its shape {self.shape} is larger than what is read")
        try:
            inflated = zlib.decompressobj()
            values = inflated.decompress(base64.b64decode(self.data, validate=True), n_bytes + 1)
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"its text is damaged: {error}") from error
        if len(values) != n_bytes:
            raise ValueError(f"its text does not hold an array of shape {self.shape}")
        return np.frombuffer(values, stored).reshape(self.shape).astype(self.dtype)
