"""Picture files: detection of ink in all formats, and error messages."""

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engine.formats import FileError, as_ink, read_picture, read_pictures, to_input
from tests.engine.formats.mutants import claimed_bmp, claimed_png, with_png_sums

# An F: it looks different however it is turned.
F = np.array(
    [
        [1 if mark == "#" else -1 for mark in row]
        for row in (".......", ".####..", ".#.....", ".###...", ".#.....", ".......")
    ],
    np.float32,
)
DARK_ON_LIGHT = ((1 - F) / 2 * 255).astype(np.uint8)
LIGHT_ON_DARK = 255 - DARK_ON_LIGHT


def written(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def refused(path: Path) -> str:
    """The error message for a file, without its path."""
    with pytest.raises(FileError) as raised:
        read_picture(path)
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.removeprefix(str(path))


# --- many files


def test_many_files_are_read_as_each_alone_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    files = []
    for at in range(150):
        pixels = np.kron(DARK_ON_LIGHT if at % 2 else LIGHT_ON_DARK, np.ones((1 + at % 3, 1), np.uint8))
        pixels = np.clip(pixels + rng.integers(-9, 9, pixels.shape), 0, 255).astype(np.uint8)
        files.append(written(tmp_path / f"{at}.png", pixels, (None, "RGB", "LA")[at % 3]))
    files[40].write_bytes(files[40].read_bytes()[:30])
    files[41] = tmp_path / "missing.png"
    files[42] = written(tmp_path / "large.png", np.full((300, 300), 255, np.uint8))
    read = list(read_pictures(files))
    assert len(read) == len(files)
    for path, one in zip(files, read, strict=True):
        if isinstance(one, FileError):
            assert str(one) == str(path) + refused(path)
        else:
            np.testing.assert_array_equal(one, read_picture(path))
    assert [at for at, one in enumerate(read) if isinstance(one, FileError)] == [40, 41]


# --- formats


@pytest.mark.parametrize("grey", [DARK_ON_LIGHT, LIGHT_ON_DARK])
@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", None, {}),
        ("a.png", "1", {}),
        ("a.png", "P", {}),
        ("a.png", "RGB", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "LA", {}),
        ("a.bmp", None, {}),
        ("a.bmp", "1", {}),
        ("a.bmp", "RGB", {}),
        ("a.gif", None, {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.tif", None, {}),
        ("a.tif", "1", {"compression": "group4"}),
        ("a.tif", "RGB", {"compression": "tiff_lzw"}),
        ("a.tif", "CMYK", {}),
        ("a.tif", "F", {}),
        ("a.tif", "I", {}),
        ("a.pgm", None, {}),
        ("a.ppm", "RGB", {}),
        ("a.pbm", "1", {}),
    ],
)
def test_lossless_formats_map_exactly(
    tmp_path: Path, name: str, mode: str | None, options: dict[str, Any], grey: np.ndarray
) -> None:
    picture = read_picture(written(tmp_path / name, grey, mode, **options))
    assert picture.dtype == np.float32
    assert np.array_equal(picture, F)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("grey", [DARK_ON_LIGHT, LIGHT_ON_DARK])
def test_jpeg(tmp_path: Path, mode: str, grey: np.ndarray) -> None:
    large = np.kron(grey, np.ones((8, 8), np.uint8))
    picture = read_picture(written(tmp_path / "a.jpg", large, mode, quality=95))
    assert np.abs(picture - np.kron(F, np.ones((8, 8)))).max() < 0.1


@pytest.mark.parametrize("grey", [DARK_ON_LIGHT, LIGHT_ON_DARK])
def test_sixteen_bits(tmp_path: Path, grey: np.ndarray) -> None:
    deep = grey.astype(np.uint16) * 257
    for name in ("a.png", "a.tif", "a.pgm"):
        assert np.array_equal(read_picture(written(tmp_path / name, deep)), F)
    twelve_bits = grey.astype(np.uint16) * 16
    assert np.array_equal(read_picture(written(tmp_path / "b.png", twelve_bits)), F)


def test_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(DARK_ON_LIGHT), Image.fromarray(np.zeros_like(DARK_ON_LIGHT))]
    for name in ("a.gif", "a.webp", "a.tif", "a.png"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = tmp_path / name
        frames[0].convert("RGB").save(path, save_all=True, append_images=[frames[1].convert("RGB")], **options)
        assert np.array_equal(read_picture(path), F)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_turned_upright(tmp_path: Path, turn: int, name: str) -> None:
    """The picture is stored rotated, with its EXIF orientation."""
    stored = {
        1: F, 2: F[:, ::-1], 3: F[::-1, ::-1], 4: F[::-1], 5: F.T, 6: np.rot90(F), 7: F[::-1, ::-1].T,
        8: np.rot90(F, -1),
    }[turn]  # fmt: skip
    image = Image.fromarray(np.kron((1 - stored) / 2 * 255, np.ones((8, 8))).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = read_picture(written(tmp_path / name, image, exif=exif))
    assert np.array_equal(np.sign(picture), np.kron(F, np.ones((8, 8))))


def test_colours_are_told_by_their_luminance(tmp_path: Path) -> None:
    blue_on_yellow = np.where(F[..., None] > 0, (0, 0, 255), (255, 255, 0)).astype(np.uint8)
    picture = read_picture(written(tmp_path / "a.png", blue_on_yellow))
    assert np.allclose(picture[F > 0], 1 - 2 * 0.114 / 0.886, atol=0.01)
    assert (picture[F < 0] == -1).all()


# --- transparency


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (255, 240, 0), (200, 0, 0)])
@pytest.mark.parametrize("beneath", [0, 255])
@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_strokes_on_nothing(tmp_path: Path, colour: tuple[int, int, int], beneath: int, name: str) -> None:
    """The colour of transparent pixels is ignored."""
    pixels = np.full((*F.shape, 4), beneath, np.uint8)
    pixels[F > 0, :3] = colour
    pixels[..., 3] = np.where(F > 0, 255, 0)
    options = {"lossless": True, "exact": True} if name == "a.webp" else {}
    assert np.array_equal(read_picture(written(tmp_path / name, pixels, **options)), F)


def test_strokes_that_cover_most_of_the_border_are_still_ink(tmp_path: Path) -> None:
    pixels = np.zeros((9, 9, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[3:6, 3:6, 3] = 0
    picture = read_picture(written(tmp_path / "a.png", pixels))
    assert picture[0, 0] == 1
    assert picture[4, 4] == -1


def test_soft_edges_are_their_opacity(tmp_path: Path) -> None:
    pixels = np.zeros((5, 5, 4), np.uint8)
    pixels[2, :, 3] = (0, 51, 102, 204, 255)
    picture = read_picture(written(tmp_path / "a.png", pixels))
    assert np.allclose(picture[2], np.array([0, 0.2, 0.4, 0.8, 1]) * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("grey", [DARK_ON_LIGHT, LIGHT_ON_DARK])
def test_a_page_cut_out_is_no_ink(tmp_path: Path, grey: np.ndarray) -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[5:11, 5:12, :3] = grey[..., None]
    pixels[5:11, 5:12, 3] = 255
    expected = np.full((20, 20), -1, np.float32)
    expected[5:11, 5:12] = F
    assert np.array_equal(read_picture(written(tmp_path / "a.png", pixels)), expected)


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_one_transparent_colour(tmp_path: Path, name: str) -> None:
    for grey in (DARK_ON_LIGHT, LIGHT_ON_DARK):
        image = Image.fromarray(grey).convert("P" if name == "a.gif" else "L")
        ground = image.getpixel((0, 0))
        assert np.array_equal(read_picture(written(tmp_path / name, image, transparency=ground)), F)


def test_wholly_transparent_is_blank(tmp_path: Path) -> None:
    assert (read_picture(written(tmp_path / "a.png", np.zeros((4, 5, 4), np.uint8))) == -1).all()


# --- which side is the ink


def ring(side: int, thick: float) -> np.ndarray:
    """An O that is cut off by the frame, as a mask."""
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    return abs(np.hypot(x, y) - 1.05) < thick


def cross(side: int, thick: float) -> np.ndarray:
    """An X from corner to corner, as a mask."""
    y, x = np.mgrid[:side, :side] / (side - 1) * 2 - 1
    return (abs(x - y) < thick) | (abs(x + y) < thick)


@pytest.mark.parametrize("side", [9, 28, 116])
@pytest.mark.parametrize(("shape", "thick"), [(ring, 0.08), (ring, 0.12), (ring, 0.16), (cross, 0.1), (cross, 0.2)])
def test_strokes_that_touch_the_border(shape: Any, thick: float, side: int) -> None:
    ink = np.where(shape(side, thick), np.float32(1), np.float32(-1))
    assert np.array_equal(as_ink((1 - ink) / 2), ink)
    assert np.array_equal(as_ink((1 + ink) / 2), ink)


def test_a_mixed_border_leaves_it_to_the_whole() -> None:
    ink = np.full((20, 20), -1, np.float32)
    ink[:3] = ink[-3:] = 1
    border = np.concatenate([ink[0], ink[-1], ink[1:-1, 0], ink[1:-1, -1]])
    assert np.median(border) == 1
    assert np.array_equal(as_ink((1 - ink) / 2), ink)
    assert np.array_equal(as_ink((1 + ink) / 2), ink)


def test_narrow_pictures() -> None:
    """Including pictures with a single row or column."""
    for shape in ((4, 4), (4, 5), (1, 7), (7, 1)):
        ink = np.full(shape, -1, np.float32)
        ink[-1, -1] = 1
        assert np.array_equal(as_ink((1 - ink) / 2), ink)
        assert np.array_equal(as_ink((1 + ink) / 2), ink)


def test_clean_pictures_keep_their_values() -> None:
    grey = np.full((9, 9), 1.0)
    grey[4, 2:7] = (0.1, 0.3, 0.5, 0.7, 0.8)
    assert np.allclose(as_ink(grey), 1 - 2 * grey, atol=1e-6)
    assert np.allclose(as_ink(1 - grey), 1 - 2 * grey, atol=1e-6)


def test_the_paper_of_a_photograph_is_empty_and_its_ink_is_not_stretched() -> None:
    grey = np.full((9, 9), 0.8)
    grey[4, 2:7] = (0.0, 0.2, 0.4, 0.6, 0.9)
    expected = np.array([1, 0.5, 0, -0.5, -1])
    assert np.allclose(as_ink(grey)[4, 2:7], expected, atol=1e-5)
    assert np.allclose(as_ink(1 - grey)[4, 2:7], expected, atol=1e-5)
    assert (as_ink(grey)[:4] == -1).all()


def test_faint_pencil_is_stretched() -> None:
    grey = np.full((9, 9), 0.8)
    grey[4, 2:7] = (0.6, 0.65, 0.7, 0.75, 0.85)
    expected = np.array([1, 0.5, 0, -0.5, -1])
    assert np.allclose(as_ink(grey)[4, 2:7], expected, atol=1e-5)
    assert np.allclose(as_ink(1 - grey)[4, 2:7], expected, atol=1e-5)
    assert np.allclose(as_ink(grey)[0], -1, atol=1e-5)


def test_of_many_each_by_itself() -> None:
    """High and low contrast, blank, and with ambiguous borders."""
    rng = np.random.default_rng(5)
    noise = rng.random((4, 6, 7), np.float32)
    squares = np.round(noise)
    middling = squares.copy()
    middling[:, [0, -1]] = middling[:, :, [0, -1]] = 0.5
    many = np.concatenate([noise, squares, 0.4 + noise / 5, middling, 1 - middling, 0.5 + noise / 100])
    many = rng.permutation(many)
    assert np.array_equal(as_ink(many), np.stack([as_ink(one) for one in many]))
    assert (as_ink(many) == -1).all(axis=(1, 2)).sum() == 4


@pytest.mark.parametrize(("border", "ground"), [([0.8] * 4 + [1] * 4, 0.9), ([0.8] * 4 + [1] * 3 + [0], 0.8)])
def test_the_level_of_the_background_is_the_median_of_its_side(border: list[float], ground: float) -> None:
    grey = np.array([*border[:4], 0, *border[4:]]).reshape(3, 3)
    expected = np.clip(2 * (ground - grey) / ground - 1, -1, 1)
    assert np.allclose(as_ink(grey), expected, atol=1e-6)
    assert np.allclose(as_ink(1 - grey), expected, atol=1e-6)


def test_a_border_on_neither_side_leaves_the_level_of_the_background_to_the_whole() -> None:
    grey = np.full((5, 5), 0.5)
    grey[1:4, 1:4] = [[0, 0, 0], [1, 1, 0.9], [0, 0, 0]]
    # The border is not darker than the middle, so the dark is the ink, and the light the background: 1, 1, 0.9.
    assert np.array_equal(as_ink(grey)[1:4, 1:4] == -1, grey[1:4, 1:4] == 1)


@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_a_blank_page(tmp_path: Path, level: int) -> None:
    noise = np.random.default_rng(1).integers(0, 7, (50, 40))
    picture = read_picture(written(tmp_path / "a.png", np.clip(level + noise, 0, 255).astype(np.uint8)))
    assert picture.shape == (50, 40)
    assert (picture == -1).all()


def test_one_pixel(tmp_path: Path) -> None:
    assert np.array_equal(read_picture(written(tmp_path / "a.png", np.zeros((1, 1), np.uint8))), [[-1]])


def test_to_input() -> None:
    same = to_input(F[:, :6], 6)
    assert np.array_equal(same, F[:, :6])
    assert to_input(np.kron(F, np.ones((9, 9), np.float32)), 7).shape == (7, 7)
    many = np.random.default_rng(7).uniform(-1, 1, (5, 6, 9)).astype(np.float32)
    for side in (4, 9, 11):
        assert np.array_equal(to_input(many, side), np.stack([to_input(one, side) for one in many]))


# --- what is no picture


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for data in (b"hello, I am a text\n", bytes(1000), b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>"):
        path.write_bytes(data)
        assert "is not an image that can be read" in refused(path)


@pytest.mark.parametrize("kind", ["PCX", "TGA", "ICO", "SGI", "EPS"])
def test_formats_beyond_the_list(tmp_path: Path, kind: str) -> None:
    """Pillow supports more formats, some through external programs; they are disabled."""
    path = tmp_path / "a.png"
    Image.fromarray(np.kron(DARK_ON_LIGHT, np.ones((8, 8), np.uint8))).convert("RGB").save(path, kind)
    assert "is not an image that can be read" in refused(path)


def test_empty_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    assert "is empty" in refused(tmp_path / "empty.png")
    assert "does not exist" in refused(tmp_path / "missing.png")
    assert "is a folder" in refused(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.jpg", "a.gif", "a.webp", "a.tif", "a.ppm"])
def test_cut_short(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A truncated picture is refused."""
    noise = np.random.default_rng(2).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    options = {"compression": "tiff_lzw"} if name == "a.tif" else {}
    data = written(tmp_path / name, noise, **options).read_bytes()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / name).write_bytes(data[: int(len(data) * share)])
        refused(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_no_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for width, height in ((0, 5), (5, 0), (0, 0)):
        path.write_bytes(claimed_png(width, height))
        refused(path)


def test_a_large_blank_page_is_no_bomb(tmp_path: Path) -> None:
    for name in ("a.png", "a.tif"):
        options = {"compression": "group4"} if name == "a.tif" else {}
        page = Image.new("1", (3000, 2600), 1)
        assert read_picture(written(tmp_path / name, page, **options)).shape == (2600, 3000)


def claimed_webp(width: int, height: int) -> bytes:
    canvas = (
        b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    body = b"WEBP" + canvas + b"VP8L" + struct.pack("<I", 6) + b"\x2f" + bytes(5)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def claimed_tiff(width: int, height: int, packing: int) -> bytes:
    tags = ((256, width), (257, height), (258, 8), (259, packing), (262, 1), (273, 8), (278, height), (279, 16))
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + struct.pack("<H", len(tags)) + listed + bytes(4)


def claimed_gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08\x02\x00\x01\x00;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame


def claimed_jpeg(width: int, height: int) -> bytes:
    whole = io.BytesIO()
    Image.new("L", (8, 8)).save(whole, "JPEG")
    data = whole.getvalue()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


BOMBS = {
    "a.png": claimed_png(20_000, 20_000),
    "b.png": claimed_png(2**31 - 1, 2**31 - 1, depth=16, colour=6),
    "c.png": claimed_png(9_999, 9_999, colour=6),
    "d.png": claimed_png(100_000_001, 1),
    "a.bmp": claimed_bmp(20_000, 20_000),
    "b.bmp": claimed_bmp(9_999, -9_999, bits=32),
    "c.bmp": claimed_bmp(2**31 - 1, 2**31 - 1),
    "a.webp": claimed_webp(16_383, 16_383),
    "b.webp": claimed_webp(1 << 24, 255),
    "a.tif": claimed_tiff(20_000, 20_000, 1),
    "b.tif": claimed_tiff(9_999, 9_999, 5),
    "c.tif": claimed_tiff(9_999, 9_999, 8),
    "a.gif": claimed_gif(20_000, 20_000),
    "b.gif": claimed_gif(9_999, 9_999),
    "a.jpg": claimed_jpeg(20_000, 20_000),
    "b.jpg": claimed_jpeg(9_999, 9_999),
    "a.pgm": b"P5 20000 20000 255\n" + bytes(16),
    "b.ppm": b"P6 9999 9999 255\n" + bytes(16),
}
MEASURE = """
import resource, sys, time
from engine.formats.pictures import read_picture
read_picture(sys.argv[1])
for path in sys.argv[2:]:
    peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try: read_picture(path); sentence = "opened"
    except ValueError as error: sentence = str(error)
    seconds = time.process_time() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(seconds, grown, sentence, sep="\\t")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units")
def test_bombs_are_refused_fast_and_small(tmp_path: Path) -> None:
    good = written(tmp_path / "good.png", DARK_ON_LIGHT)
    for name, data in BOMBS.items():
        (tmp_path / name).write_bytes(data)
    bombs = [str(tmp_path / name) for name in BOMBS]
    command = [sys.executable, "-c", MEASURE, str(good), *bombs]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) == len(bombs)
    for path, line in zip(bombs, lines, strict=True):
        seconds, grown, sentence = line.split("\t")
        assert sentence.startswith(path), line
        assert float(seconds) < 0.2, line
        assert int(grown) < 50 * 1024, line


def test_warnings_and_logs_stay_inside(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Warnings are errors in this test run, and logged warnings fail it."""
    path = tmp_path / "a.png"
    path.write_bytes(claimed_png(9_500, 9_500))
    refused(path)
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff"
    picture = read_picture(
        written(tmp_path / "a.jpg", np.kron(DARK_ON_LIGHT, np.ones((8, 8), np.uint8)), exif=exif)
    )
    assert picture.shape == (48, 56)
    assert capfd.readouterr() == ("", "")


def test_repaired_sums_are_right() -> None:
    whole = io.BytesIO()
    Image.fromarray(DARK_ON_LIGHT).save(whole, "PNG")
    assert with_png_sums(whole.getvalue()) == whole.getvalue()
