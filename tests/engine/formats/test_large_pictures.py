"""Pictures that are read in parts or reduced, and files that end early or hold much beside their pixels."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.formats import FileError, large_pictures, read_picture

FACTOR = 3
SIDE = 30


def letter(side: int = SIDE) -> np.ndarray:
    """A grey X that is no mirror image of itself, 0 to 255."""
    image = Image.new("L", (side, side + side // 6), 255)
    draw = ImageDraw.Draw(image)
    draw.line((side * 0.2, side * 0.2, side * 0.8, side * 0.8), fill=0, width=max(1, side // 8))
    draw.line((side * 0.2, side * 0.8, side * 0.7, side * 0.3), fill=85, width=max(1, side // 8))
    return np.asarray(image)


def enlarged(pixels: np.ndarray) -> np.ndarray:
    return pixels.repeat(FACTOR, 0).repeat(FACTOR, 1)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of more pixels than the letter has is large, and read in strips of a few rows."""
    monkeypatch.setattr(large_pictures, "FULL_PIXELS", letter().size)
    monkeypatch.setattr(large_pictures, "REDUCED_PIXELS", letter().size)
    monkeypatch.setattr(large_pictures, "_STRIP_PIXELS", 12 * SIDE * FACTOR)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "L", {}),
        ("a.png", "1", {}),
        ("a.png", "P", {}),
        ("a.png", "P", {"bits": 4}),
        ("a.png", "P", {"bits": 2}),
        ("a.png", "RGB", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "LA", {}),
        ("a.png", "I;16", {}),
        ("a.png", "L", {"compress_level": 0}),
        ("a.bmp", "L", {}),
        ("a.bmp", "1", {}),
        ("a.bmp", "P", {}),
        ("a.bmp", "RGB", {}),
        ("a.bmp", "RGBA", {}),
        ("a.gif", "L", {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.tif", "L", {}),
        ("a.tif", "1", {"compression": "group4"}),
        ("a.tif", "RGB", {"compression": "tiff_lzw"}),
        ("a.tif", "CMYK", {}),
        ("a.tif", "I;16", {}),
        ("a.tif", "F", {}),
        ("a.pgm", "L", {}),
        ("a.ppm", "RGB", {}),
        ("a.pbm", "1", {}),
    ],
)
def test_a_large_picture_is_read_as_its_average(
    tmp_path: Path, small_limits: None, name: str, mode: str, options: dict[str, Any]
) -> None:
    grey = letter()
    if mode == "1":
        grey = (grey > 128).astype(np.uint8) * 255
    parts = []
    for pixels in (grey, enlarged(grey)):
        image = Image.fromarray(pixels.astype(np.uint16) * 257 if mode == "I;16" else pixels)
        (image if mode == "I;16" else image.convert(mode)).save(tmp_path / name, **options)
        parts.append(read_picture(tmp_path / name))
    assert parts[1].shape == grey.shape
    assert np.allclose(parts[0], parts[1], atol=0.02)


@pytest.mark.parametrize("name", ["a.bmp", "a.png", "a.tif"])
@pytest.mark.parametrize("alpha", [0, 100])
def test_an_alpha_that_says_nothing_in_a_large_picture(
    tmp_path: Path, small_limits: None, name: str, alpha: int
) -> None:
    parts = []
    for pixels in (letter(), enlarged(letter())):
        image = Image.fromarray(pixels).convert("RGBA")
        image.putalpha(alpha)
        image.save(tmp_path / name)
        parts.append(read_picture(tmp_path / name))
    assert np.allclose(parts[0], parts[1], atol=0.02)
    assert (parts[0] > 0).any()


@pytest.mark.parametrize("first", ["opaque", "cut out"])
def test_alpha_that_begins_or_ends_within_a_large_picture(tmp_path: Path, small_limits: None, first: str) -> None:
    grey = letter()
    alpha = np.where(grey < 255, 255, 0).astype(np.uint8)
    alpha[: len(grey) // 2] = 255
    if first == "cut out":
        grey, alpha = grey[::-1], alpha[::-1]
    parts = []
    for pixels, opacity in ((grey, alpha), (enlarged(grey), enlarged(alpha))):
        image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGBA")
        image.putalpha(Image.fromarray(np.ascontiguousarray(opacity)))
        image.save(tmp_path / "a.png")
        parts.append(read_picture(tmp_path / "a.png"))
    assert np.allclose(parts[0], parts[1], atol=0.02)
    assert (parts[0] > 0).any()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA"])
def test_an_interlaced_png_is_read_whole(tmp_path: Path, small_limits: None, mode: str) -> None:
    image = Image.fromarray(enlarged(letter())).convert(mode)
    pixels = np.asarray(image).reshape(*image.size[::-1], -1)
    rows = []
    for x, y, dx, dy in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        part = pixels[y::dy, x::dx].reshape(len(pixels[y::dy]), -1)
        rows.append(np.column_stack([np.zeros(len(part), np.uint8), part]).tobytes())
    palette = [] if mode != "P" else [(b"PLTE", bytes(image.getpalette() or []))]
    colour = {"L": 0, "P": 3, "RGBA": 6}[mode]
    data = png(image.width, image.height, 8, colour, [*palette, (b"IDAT", zlib.compress(b"".join(rows)))])
    header = data[16:28] + b"\x01"  # interlaced
    start = data[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    (tmp_path / "a.png").write_bytes(start + data[33:])
    image.save(tmp_path / "b.png")
    assert read_picture(tmp_path / "a.png").shape == letter().shape
    assert np.array_equal(read_picture(tmp_path / "a.png"), read_picture(tmp_path / "b.png"))


@pytest.mark.parametrize("largest", [100, 4095])
@pytest.mark.parametrize("bands", [1, 3])
def test_pnm_of_any_largest_value(tmp_path: Path, largest: int, bands: int) -> None:
    grey = letter()
    values = np.rint(grey / 255 * largest).astype(np.uint8 if largest < 256 else ">u2")
    header = f"P{5 if bands == 1 else 6} {grey.shape[1]} {grey.shape[0]} {largest}\n".encode()
    (tmp_path / "a.pnm").write_bytes(header + values[..., None].repeat(bands, 2).tobytes())
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.allclose(read_picture(tmp_path / "a.pnm"), read_picture(tmp_path / "a.png"), atol=0.02)
    (tmp_path / "a.pnm").write_bytes(header + values.tobytes()[: -grey.shape[1]])
    with pytest.raises(FileError, match="damaged or cut short"):
        read_picture(tmp_path / "a.pnm")


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", range(5))
def test_every_filter_of_png_across_strips(
    tmp_path: Path, small_limits: None, colour: int, depth: int, kind: int
) -> None:
    """PNG filters a row by the row above it and the pixel before it, in five ways."""
    bands = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    values = np.random.default_rng(3).integers(0, 256, (SIDE * 3, SIDE * 3, bands * depth // 8), np.uint8)
    values[8:-8, 40:50] //= 4
    if colour >= 4:
        values[..., -depth // 8 :] = 255
        values[:9, :, -depth // 8 :] = 128
    data = filtered_png(values, depth, colour, kind)
    (tmp_path / "a.png").write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        if image.mode == "I;16":
            expected = Image.fromarray(np.asarray(image).astype(np.float32) / 65535).reduce(FACTOR)
        else:
            expected = image.convert("LA" if colour >= 4 else "L").reduce(FACTOR)
        expected.save(tmp_path / "b.tif")
    assert np.allclose(read_picture(tmp_path / "a.png"), read_picture(tmp_path / "b.tif"), atol=0.02)


def filtered_png(values: np.ndarray, depth: int, colour: int, kind: int) -> bytes:
    """A PNG whose rows are all filtered in one way. values: bytes (H, W, bytes of a pixel)."""
    padded = np.pad(values.astype(int), ((1, 0), (1, 0), (0, 0)))
    left, up, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    slope = left + up - corner
    distances = [abs(slope - each) for each in (left, up, corner)]
    paeth = np.where(
        (distances[0] <= distances[1]) & (distances[0] <= distances[2]),
        left,
        np.where(distances[1] <= distances[2], up, corner),
    )
    guess = (np.zeros_like(left), left, up, (left + up) // 2, paeth)[kind]
    rows = ((values - guess) % 256).astype(np.uint8).reshape(len(values), -1)
    rows = np.column_stack([np.full(len(rows), kind, np.uint8), rows])
    return png(values.shape[1], values.shape[0], depth, colour, [(b"IDAT", zlib.compress(rows.tobytes(), 1))])


def png(width: int, height: int, depth: int, colour: int, chunks: list[tuple[bytes, bytes]]) -> bytes:
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, data in (header, *chunks, (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
    return b"".join(parts)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.mpo"])
def test_large_pictures_are_turned_upright(tmp_path: Path, small_limits: None, turn: int, name: str) -> None:
    grey = letter()
    stored = {
        1: grey, 2: grey[:, ::-1], 3: grey[::-1, ::-1], 4: grey[::-1], 5: grey.T, 6: np.rot90(grey),
        7: grey[::-1, ::-1].T, 8: np.rot90(grey, -1),
    }[turn]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turn
    image = Image.fromarray(stored.repeat(4, 0).repeat(4, 1))
    more = {"append_images": [image], "save_all": True} if name == "a.mpo" else {}
    image.save(tmp_path / name, exif=exif, **more)
    picture = read_picture(tmp_path / name)
    assert 0 < picture.size <= grey.size
    plain = Image.fromarray(grey).resize(picture.shape[::-1], Image.Resampling.BOX)
    assert picture.shape == np.asarray(plain).shape
    assert np.abs(picture - (1 - np.asarray(plain) / 127.5)).max() < 0.35


def test_formats_that_are_decoded_whole_are_refused_where_that_takes_too_much(
    tmp_path: Path, small_limits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_pictures, "MEMORY_LIMIT", letter().size)
    image = Image.fromarray(enlarged(letter())).convert("RGB")
    for name, options, kind in (
        ("a.jpg", {"progressive": True}, "progressive JPEG"),
        ("a.webp", {"lossless": True}, "WebP"),
        ("a.gif", {}, "GIF"),
        ("a.tif", {"compression": "tiff_lzw"}, "TIFF"),
    ):
        image.save(tmp_path / name, **options)
        with pytest.raises(FileError, match=f"{name} has 90 × 105 pixels, too many for an? .*{kind}.*ordinary PNG"):
            read_picture(tmp_path / name)


MEASURE = """
import resource, sys, time
from engine.formats import read_picture
from PIL import Image
Image.init()
peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
picture = read_picture(sys.argv[1])
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
print(time.process_time() - begun, grown, *picture.shape)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units")
@pytest.mark.parametrize("depth", [8, 16])
def test_a_hundred_megapixels(tmp_path: Path, depth: int) -> None:
    path = tmp_path / "a.png"
    row = np.full((10_000, depth // 8), 255, np.uint8)
    row[4000:6000] = 0
    packer = zlib.compressobj(1)
    rows = b"\0" + row.tobytes()
    data = b"".join([*(packer.compress(rows * 100) for _ in range(100)), packer.flush()])
    path.write_bytes(png(10_000, 10_000, depth, 0, [(b"IDAT", data)]))
    command = [sys.executable, "-c", MEASURE, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, grown, *shape = result.stdout.split()
    assert float(seconds) < 3  # of the processor; about 0.5 and 1 on an idle machine
    assert int(grown) < 256 * 1024
    assert shape == ["1112", "1112"]


def test_texts_of_a_png_are_not_unpacked(tmp_path: Path) -> None:
    text = b"note\0\x01\0\0\0" + zlib.compress(bytes(1 << 20), 9)
    pixels = np.full((10, 10), 255, np.uint8)
    pixels[5] = 0
    data = zlib.compress(np.column_stack([np.zeros(10, np.uint8), pixels]).tobytes())
    (tmp_path / "a.png").write_bytes(png(10, 10, 8, 0, [*[(b"iTXt", text)] * 100, (b"IDAT", data)]))
    assert np.array_equal(read_picture(tmp_path / "a.png") > 0, pixels == 0)


def test_a_file_of_endless_pieces_is_refused(tmp_path: Path) -> None:
    many = {
        "a.png": png(10, 10, 8, 0, [(b"aaAa", b"")] * 200_001),
        "a.jpg": b"\xff\xd8" + b"\xff\xfe\0\2" * 200_001,
        "a.pgm": b"P5 #" + b"comment " * 100_000,
    }
    for name, data in many.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FileError, match="made of more than 200,000 pieces"):
            read_picture(tmp_path / name)


# --- a JPEG without its end


def photograph(progressive: bool, mode: str) -> bytes:
    noise = np.random.default_rng(4).integers(-9, 10, (210, 180))
    grey = np.clip(letter(180).astype(int) + noise, 0, 255).astype(np.uint8)
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(grey).convert(mode).save(data, "JPEG", quality=90, progressive=progressive, exif=exif)
    return data.getvalue()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_without_its_end_mark_is_read_and_said(tmp_path: Path, progressive: bool, mode: str) -> None:
    data, path = photograph(progressive, mode), tmp_path / "a.jpg"
    path.write_bytes(data)
    notes: list[str] = []
    whole = read_picture(path, notes.append)
    assert notes == []
    for cut in (1, 2):
        path.write_bytes(data[:-cut])
        assert np.array_equal(read_picture(path, notes.append), whole)
        assert notes.pop().startswith(f"{path} ends early: it lacks the mark of its end, but it is all there;")
    for share in (0.3, 0.5, 0.7, 0.85):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileError, match="damaged or cut short"):
            read_picture(path, notes.append)
    assert notes == []


def test_a_jpeg_whose_very_last_rows_are_missing_is_read_without_them(tmp_path: Path) -> None:
    data, path = photograph(progressive=False, mode="L"), tmp_path / "a.jpg"
    path.write_bytes(data)
    whole = read_picture(path)
    path.write_bytes(data[:-150])
    notes: list[str] = []
    picture = read_picture(path, notes.append)
    assert "its last rows are missing" in notes[0]
    rows = picture.shape[1]
    assert 0.95 * 210 <= rows < 210  # stored rows are columns of the turned picture
    assert np.array_equal(picture, whole[:, -rows:])
