"""Ink on a background: transparency, and pages that lie in a frame."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.formats import as_ink, pixels_as_ink, read_picture
from engine.formats.ink import transparent_as_ink


def letter(side: int, shape: str, ink: int = 20, paper: int = 240) -> Image.Image:
    """An X or O with a pen of a twenty-fifth of the side."""
    image = Image.new("L", (side, side), paper)
    draw, low, high, pen = ImageDraw.Draw(image), side * 0.3, side * 0.7, max(1, side // 25)
    if shape == "O":
        draw.ellipse((low, low, high, high), outline=ink, width=pen)
    else:
        draw.line((low, low, high, high), fill=ink, width=pen)
        draw.line((low, high, high, low), fill=ink, width=pen)
    return image


def framed(image: Image.Image, margin: float, desk: int) -> np.ndarray:
    """The picture as a page within a frame that takes `margin` of each side; 0 to 1."""
    width = round(margin * image.width)
    grey = np.asarray(image).copy()
    frame = np.ones(grey.shape, bool)
    frame[width:-width, width:-width] = False
    grey[frame] = desk
    return grey / 255


@pytest.mark.parametrize("shape", ["X", "O"])
@pytest.mark.parametrize(
    ("side", "margin", "desk"), [(40, 0.1, 0), (100, 0.15, 90), (600, 0.05, 0), (900, 0.2, 60)]
)
def test_a_frame_around_a_page_is_no_ink(shape: str, side: int, margin: float, desk: int) -> None:
    page = letter(side, shape)
    grey = framed(page, margin, desk)
    for picture in (as_ink(grey), as_ink(1 - grey)):  # a dark desk, and a light wall around a blackboard
        expected = np.asarray(page) < 128
        assert np.array_equal(picture > 0, expected)
        assert (picture[0] == -1).all()


@pytest.mark.parametrize("shape", ["X", "O"])
@pytest.mark.parametrize("pen", [4, 10, 25, 40])
def test_light_strokes_on_a_dark_ground_are_no_page(shape: str, pen: int) -> None:
    image = Image.new("L", (200, 200), 10)
    draw = ImageDraw.Draw(image)
    if shape == "O":
        draw.ellipse((15, 15, 185, 185), outline=240, width=pen)
    else:
        draw.line((40, 40, 160, 160), fill=240, width=pen)
        draw.line((40, 160, 160, 40), fill=240, width=pen)
    assert np.array_equal(as_ink(np.asarray(image) / 255) > 0, np.asarray(image) > 125)


@pytest.mark.parametrize("hole", [None, (40, 84, 160, 116)])
def test_a_light_block_on_a_dark_ground_is_no_page_whether_it_is_solid_or_has_a_long_hole(
    hole: tuple[int, int, int, int] | None,
) -> None:
    """A page has strokes within, and is much wider than they are."""
    image = Image.new("L", (200, 200), 10)
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 45, 190, 155), fill=240)
    if hole is not None:
        draw.rectangle(hole, fill=10)
    assert np.array_equal(as_ink(np.asarray(image) / 255) > 0, np.asarray(image) > 125)


@pytest.mark.parametrize("turns", range(4))
def test_where_as_much_is_dark_as_light_the_dark_is_ink(turns: int) -> None:
    """Half of the border and half of the picture: a tie."""
    grey = np.ones((8, 8), np.float32)
    grey[:, :4] = 0
    grey = np.rot90(grey, turns)
    np.testing.assert_array_equal(as_ink(grey), 1 - 2 * grey)
    np.testing.assert_array_equal(as_ink(np.stack([grey, grey])), np.stack([1 - 2 * grey] * 2))
    more_dark = grey.copy()
    more_dark[tuple(np.argwhere(grey[1:-1, 1:-1] == 1)[0] + 1)] = 0
    np.testing.assert_array_equal(as_ink(more_dark), 2 * more_dark - 1)


def test_half_the_range_is_full_contrast() -> None:
    grey = np.zeros((8, 8), np.float32)
    grey[3:5, 3:5] = 0.5
    assert as_ink(grey)[3, 3] == 0, "half of white"
    grey[3:5, 3:5] = 0.49
    assert as_ink(grey)[3, 3] == 1, "stretched"


def bordered(dark: int, inside: float) -> np.ndarray:
    """A picture of 8 × 8 with so many dark pixels in its border of 28, first of all its corners."""
    grey = np.full((8, 8), inside, np.float32)
    corners = [(0, 0), (0, 7), (7, 0), (7, 7)]
    rest = [(row, column) for row in range(8) for column in range(8) if not (0 < row < 7 and 0 < column < 7)]
    places = corners + [place for place in rest if place not in corners]
    for at, place in enumerate(places):
        grey[place] = at >= dark
    return grey


@pytest.mark.parametrize(
    ("dark", "inside", "ink_is_dark"),
    [
        (5, 0.0, True),
        (6, 0.0, True),
        (7, 0.0, False),
        (7, 1.0, True),
        (22, 1.0, False),
        (21, 1.0, True),
        (14, 0.55, True),
    ],
)
def test_a_quarter_of_the_border_makes_it_mixed_and_the_whole_picture_decides(
    dark: int, inside: float, ink_is_dark: bool
) -> None:
    """Each pixel of the border counts once, and lightness from the middle on is light."""
    picture = as_ink(bordered(dark, inside))
    assert (picture[0, 0] > 0) == ink_is_dark


def test_half_opaque_is_visible() -> None:
    page = np.asarray(letter(40, "X")) / 255
    alpha = np.zeros((60, 60), np.float32)
    alpha[10:50, 10:50] = 0.5
    grey = np.zeros((60, 60), np.float32)
    grey[10:50, 10:50] = page
    picture = transparent_as_ink(grey, alpha)
    assert picture[12, 12] == -1, "the page is ground"
    assert (picture[10:50, 10:50][page < 0.5] > -1).all()


def test_one_framed_page_among_many() -> None:
    plain = np.asarray(letter(100, "X")) / 255
    page = framed(letter(100, "O"), 0.1, 0)
    many = np.stack([plain, page, 1 - plain])
    assert np.array_equal(as_ink(many), np.stack([as_ink(one) for one in many]))


@pytest.mark.parametrize("alpha", [0, 30, 128, 255])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_an_alpha_that_is_the_same_everywhere_says_nothing(tmp_path: Path, alpha: int, suffix: str) -> None:
    page = letter(60, "X", 0, 255)
    pixels = np.dstack([np.asarray(page)] * 3 + [np.full((60, 60), alpha, np.uint8)])
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", **options)
    expected = as_ink(np.asarray(page) / 255)
    assert np.array_equal(read_picture(tmp_path / f"a{suffix}"), expected)
    assert np.array_equal(pixels_as_ink(pixels), expected)


def test_one_transparent_value_of_sixteen_bits(tmp_path: Path) -> None:
    page = np.where(np.asarray(letter(60, "O")) < 128, 65535, 0).astype(np.uint16)
    Image.fromarray(page).save(tmp_path / "a.png", transparency=0)
    assert np.array_equal(read_picture(tmp_path / "a.png") > 0, page > 0)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255)])
def test_pixels_of_a_clipboard_are_read_as_those_of_a_file(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    ink = np.asarray(letter(60, "X", 255, 0))
    pixels = np.empty((60, 60, 4), np.uint8)
    pixels[..., :3], pixels[..., 3] = colour, ink
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(pixels_as_ink(pixels), read_picture(tmp_path / "a.png"))
    assert (pixels_as_ink(pixels) > 0).any()
