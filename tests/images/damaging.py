"""A file or a folder damaged in one way, from a seed."""

import json
from pathlib import Path

from mutations import damaged_text, with_right_checksums

#: Where formats end their headers, and other places where readers stop looking.
EDGES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 26, 80, 100, 128, 255, 256, 348, 352, 511, 512, 540, 1023,
         1024, 1025, 2048, 4096)  # fmt: skip


def damaged_file(path, folder, others, rng):
    """Damage one of the files that an image consists of.

    Returns
    -------
    how : str
    exact : bool
        Nothing but the whole image may be read: it was cut short.
    """
    path = Path(path)
    files = sorted(p for p in path.parent.rglob("*") if p.is_file())
    file = files[int(rng.integers(len(files)))]
    content = file.read_bytes()
    kind = KINDS[int(rng.integers(len(KINDS)))]
    if kind is _text and (file.suffix in (".json", ".geojson") or file.name.startswith(".z")):
        kind = _json
    made = kind(content, rng, lambda: _other(folder, others, rng))
    if file.suffix == ".png" and rng.random() < 0.5 and kind is not _cut:
        made = with_right_checksums(made)
    file.write_bytes(made)
    return f"{kind.__name__.strip('_')} {file.relative_to(path.parent)}", kind is _cut


def _cut(content, rng, other):
    n = len(content)
    if not n:
        return content
    edges = [edge for edge in (*EDGES, *(n - edge for edge in EDGES[1:8])) if 0 <= edge < n]
    at = edges[int(rng.integers(len(edges)))] if rng.random() < 0.5 else int(rng.integers(n))
    return content[:at]


def _flipped(content, rng, other):
    made = bytearray(content)
    for _ in range(int(rng.integers(1, 8))) if made else ():
        made[_place(made, rng)] ^= 1 << int(rng.integers(8))
    return bytes(made)


def _zeroed(content, rng, other):
    made = bytearray(content)
    at = _place(made, rng)
    length = int(rng.choice([1, 2, 4, 8, 64, 512, 4096]))
    return bytes(made[:at]) + bytes(len(made[at : at + length])) + bytes(made[at + length :])


def _filled(content, rng, other):
    made = bytearray(content)
    at = _place(made, rng)
    length = len(made[at : at + int(rng.choice([1, 2, 4, 8, 64]))])
    made[at : at + length] = b"\xff" * length if rng.random() < 0.5 else rng.bytes(length)
    return bytes(made)


def _shifted(content, rng, other):
    """Repeat a piece, or leave one out."""
    at, length = _place(content, rng), int(rng.integers(1, 64))
    if rng.random() < 0.5:
        return content[:at] + content[at : at + length] + content[at:]
    return content[:at] + content[at + length :]


def _headed(content, rng, other):
    """Give it the beginning of a file of another format."""
    length = int(rng.choice([4, 8, 16, 128, 352, 1024]))
    return other()[:length] + content[length:]


def _replaced(content, rng, other):
    return other()


def _text(content, rng, other):
    """Put another number where one stands in text, as headers have it."""
    digits = [i for i, byte in enumerate(content[:20000]) if 48 <= byte < 58]
    if not digits:
        return _flipped(content, rng, other)
    at = digits[int(rng.integers(len(digits)))]
    numbers = (b"0", b"-1", b"9", b"99999999999", b"1e400", b"nan", b"", b"4294967297", b"x")
    return content[:at] + numbers[int(rng.integers(len(numbers)))] + content[at + 1 :]


def _json(content, rng, other):
    try:
        return damaged_text(json.loads(content), rng)
    except ValueError:
        return _text(content, rng, other)


KINDS = (_cut, _cut, _flipped, _flipped, _zeroed, _filled, _shifted, _headed, _replaced, _text,
         _text)  # fmt: skip


def _place(content, rng):
    n = max(1, len(content))
    # Headers are where readers can be led astray, and some stand at the end.
    where = rng.random()
    if where < 0.5:
        return int(rng.integers(min(n, 400)))
    return int(rng.integers(max(0, n - 400), n)) if where < 0.7 else int(rng.integers(n))


def _other(folder, others, rng):
    name = others[int(rng.integers(len(others)))]
    files = sorted(p for p in (folder / name).rglob("*") if p.is_file())
    return files[int(rng.integers(len(files)))].read_bytes()
