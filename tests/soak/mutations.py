"""Damage of every kind, from a seed."""

import copy
import json
import struct
import zlib

STRANGE = [
    None, True, -1, 0, 1, 3, 6, 255, 10**6, 2**31, -(2**63), 2**70, 1.5, -0.0, 1e308, float("nan"),
    float("inf"), "", "a", "0", "é實\u2028", "\x00", "../../etc/passwd", "a" * 5000, [], [[]], {},
    {"": None}, [1] * 300,
]  # fmt: skip

#: What no writer of JSON makes, and any file may hold.
STRANGE_JSON = [
    b"", b"\x00", b"null", b"[]", b"{}", b"7", b'"', b"{" * 50, b"[" * 100_000, b"9" * 5000,
    b'{"a":' * 100_000, b"\xff\xfe\x00", b'"\\ud800"', b"NaN", b"-Infinity", b'{"a": 1e999}',
]  # fmt: skip


def damaged(content, rng):
    """Return bytes cut short, overwritten, lengthened or shortened in the middle."""
    n = len(content)
    result = bytearray(content)
    kind = rng.integers(6)
    # Headers are where readers can be led astray.
    at = int(rng.integers(min(n, 300)) if rng.random() < 0.6 else rng.integers(n))
    length = int(rng.integers(1, 64))
    if kind == 0:
        del result[int(rng.integers(n)) :]
    elif kind == 1:
        for i in rng.integers(0, n, int(rng.integers(1, 6))):
            result[i] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        result[at : at + length] = rng.bytes(length)
    elif kind == 3:
        result[at : at + length] = bytes([int(rng.choice([0, 255]))]) * min(length, 8)
    elif kind == 4:
        result[at:at] = result[at : at + length]
    else:
        del result[at : at + length]
    return bytes(result)


def with_right_checksums(png):
    """Return a PNG whose chunks have the checksums of what they hold, as far as it goes."""
    at, parts = 8, [png[:8]]
    while at + 12 <= len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + length]
        parts += [png[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += 12 + length
    return b"".join(parts)


def damaged_json(value, rng):
    """Return JSON in which something was replaced, removed, added or repeated."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = places[int(rng.integers(len(places)))]
        kind = rng.integers(5)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[f"{key}x"] = holder[key]
        else:
            holder[key] = copy.deepcopy(STRANGE[int(rng.integers(len(STRANGE)))])
    return value


def damaged_text(value, rng):
    """Return a JSON document that is damaged as a tree, as bytes, or altogether."""
    kind = rng.random()
    if kind < 0.05:
        return STRANGE_JSON[int(rng.integers(len(STRANGE_JSON)))]
    if kind < 0.65:
        return json.dumps(damaged_json(value, rng)).encode()
    return damaged(json.dumps(value).encode(), rng)


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
