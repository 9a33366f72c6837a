"""Mutants: randomly damaged versions of a file, from a seed, with repaired checksums of PNG, zip and gzip.

Not the tests that read them. A reader that stops at a wrong checksum is not tested beyond it.
"""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
NUMBERS = (0, 1, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 20_000, 100_000_000)


def mutants(data: bytes, count: int, seed: int, repair: Callable[[bytes], bytes] = bytes) -> Iterator[bytes]:
    """`count` damaged versions; every other one repaired."""
    rng = random.Random(seed)
    for number in range(count):
        damaged = bytearray(data)
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            damage(damaged, rng)
        yield repair(bytes(damaged)) if number % 2 else bytes(damaged)


def damage(data: bytearray, rng: random.Random) -> None:
    """Changes some bytes in place, half of them at the beginning, where most formats have headers."""
    if not data:
        return
    at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 64))
    kind = rng.randrange(8)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.choice(EXTREMES)
    elif kind == 2:
        data[at] = rng.randrange(256)
    elif kind in (3, 4):
        number = struct.pack(rng.choice(("<I", ">I")), rng.choice(NUMBERS))
        data[at : at + 4] = number[: len(data) - at]
    elif kind == 5:
        del data[at : at + rng.randrange(1, 64)]
    elif kind == 6:
        data[at:at] = rng.randbytes(rng.randrange(1, 32))
    else:
        del data[at:]


def with_png_sums(data: bytes) -> bytes:
    """Repairs the checksums of the chunks."""
    repaired, at = bytearray(data), 8
    while at + 12 <= len(repaired):
        length = int.from_bytes(repaired[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(repaired):
            break
        repaired[end : end + 4] = zlib.crc32(repaired[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(repaired)


def zip_mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Damages half of them directly, and half inside a member, which is compressed again with a valid checksum."""
    yield from mutants(data, count // 2, seed)
    rng = random.Random(seed + 1)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(count - count // 2):
        chosen, packed = rng.choice(list(members)), io.BytesIO()
        with zipfile.ZipFile(packed, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for name, content in members.items():
                changed = bytearray(content)
                if name == chosen:
                    damage(changed, rng)
                archive.writestr(name, bytes(changed))
        yield packed.getvalue()


def gzip_mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Damages half of them after, half before compression; data: unpacked."""
    yield from mutants(gzip.compress(data), count // 2, seed)
    yield from map(gzip.compress, mutants(data, count - count // 2, seed + 1))


def claimed_png(width: int, height: int, *, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG of some 70 bytes that claims to be large."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(16))), (b"IEND", b""))
    packed = [struct.pack(">I", len(body)) + kind + body + bytes(4) for kind, body in chunks]
    return with_png_sums(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def claimed_bmp(width: int, height: int, *, bits: int = 24) -> bytes:
    """A BMP of 70 bytes that claims to be large."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 16, 0, 0, 54) + header + bytes(16)
