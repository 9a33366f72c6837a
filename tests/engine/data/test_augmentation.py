"""Data augmentation: the effect of each setting, and reproducibility."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.data import Augmentation, Dataset, make_source
from engine.data.augmentation import AugmentedSource, warp_affine
from engine.nn import Network
from engine.nn.layers import Center, Conv2D, Dense, Flatten
from engine.training import Trainer, TrainingConfig

ALL = Augmentation(0.2, 30, 0.3, 0.2, True)


def some(count: int = 21, height: int = 12, width: int = 12) -> Dataset:
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (count, 1, height, width)).astype(np.float32)
    return Dataset(images, np.arange(count) % 2, ("X", "O"))


def view(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32).reshape(1, 2, 3)


def test_a_view_shows_what_lies_there() -> None:
    picture = some(1, 5, 7).images[:, 0]
    np.testing.assert_array_equal(warp_affine(picture, view(1, 0, 0, 0, 1, 0)), picture)
    np.testing.assert_array_equal(warp_affine(picture, view(-1, 0, 0, 0, 1, 0))[0], picture[0, :, ::-1])
    moved = warp_affine(picture, view(1, 0, 2, 0, 1, -1))[0]  # it shows what lies two to the right and one up
    np.testing.assert_array_equal(moved[1:, :-2], picture[0, :-1, 2:])
    np.testing.assert_array_equal(moved[0], -1)
    np.testing.assert_array_equal(moved[:, -2:], -1)
    moved = warp_affine(picture, view(1, 0, -1.5, 0, 1, 2.5))[0]  # to the left and below there is nothing either
    np.testing.assert_array_equal(moved[:, 0], -1)
    np.testing.assert_array_equal(moved[3:], -1)
    np.testing.assert_allclose(moved[2, 1], (picture[0, 4, 0] - 1 - 2) / 4, atol=1e-6)
    half = warp_affine(picture, view(1, 0, 0.5, 0, 1, 0))[0]
    np.testing.assert_allclose(half[:, :-1], (picture[0, :, :-1] + picture[0, :, 1:]) / 2, atol=1e-6)


def test_a_quarter_turn_is_exact() -> None:
    picture = some(1).images[:, 0]
    np.testing.assert_array_equal(warp_affine(picture, view(0, 1, 0, -1, 0, 0))[0], np.rot90(picture[0], -1))


def test_every_picture_is_seen_through_its_own_view() -> None:
    pictures = some(19).images[:, 0]
    views = np.tile(view(1, 0, 0, 0, 1, 0), (19, 1, 1))
    views[:, 0, 2] = np.arange(19) % 3
    found = warp_affine(pictures, views)
    for place, picture in enumerate(pictures):
        shift = place % 3
        np.testing.assert_array_equal(found[place, :, : 12 - shift], picture[:, shift:])


def test_flips_give_the_eight_ways_a_square_lies_on_itself_and_nothing_else() -> None:
    picture = some(1).images[0, 0]
    ways = {np.rot90(side, turns).tobytes() for side in (picture, picture[::-1]) for turns in range(4)}
    many = Dataset(np.tile(picture, (200, 1, 1, 1)), np.zeros(200, np.int64), ("X", "O"))
    assert {image.tobytes() for image in AugmentedSource(many, Augmentation(flip=True), 1).epoch(0).images} == ways
    wide = np.tile(picture[:8], (200, 1, 1, 1))
    found = AugmentedSource(Dataset(wide, many.labels, ("X", "O")), Augmentation(flip=True), 1).epoch(0).images
    assert len({image.tobytes() for image in found}) == 4


def _middle(image: np.ndarray) -> np.ndarray:
    """The centre of the ink, (x, y) from the centre of the picture, in pixels."""
    weight = image + 1
    y, x = np.mgrid[: len(image), : len(image)] - (len(image) - 1) / 2
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


def _dots(settings: Augmentation, at: tuple[int, int]) -> np.ndarray:
    """The positions of augmented dots at (x, y) from the centre of 61 x 61 pixels, (500, 2)."""
    image = np.full((61, 61), -1, np.float32)
    image[29 + at[1] : 32 + at[1], 29 + at[0] : 32 + at[0]] = 1
    many = Dataset(np.tile(image, (500, 1, 1, 1)), np.zeros(500, np.int64), ("X", "O"))
    return np.array([_middle(each[0]) for each in AugmentedSource(many, settings, 3).epoch(0).images])


def test_each_setting_does_as_far_as_it_says() -> None:
    moved = _dots(Augmentation(shift=0.2), (0, 0))
    np.testing.assert_allclose(np.abs(moved).max(0), 0.2 * 61, rtol=0.03)
    turned = _dots(Augmentation(rotation=30), (20, 0))
    angles = np.degrees(np.arctan2(turned[:, 1], turned[:, 0]))
    assert (angles.min(), angles.max()) == pytest.approx((-30, 30), rel=0.03)
    np.testing.assert_allclose(np.hypot(*turned.T), 20, atol=0.2)
    scaled = _dots(Augmentation(scale=0.3), (15, 0))[:, 0] / 15
    assert (scaled.min(), scaled.max()) == pytest.approx((math.exp(-0.3), math.exp(0.3)), rel=0.03)
    leaning = _dots(Augmentation(shear=0.4), (0, 20))
    assert (leaning[:, 0].min(), leaning[:, 0].max()) == pytest.approx((-8, 8), rel=0.03)
    np.testing.assert_allclose(leaning[:, 1], 20, atol=0.2)


# Half height and half width of pictures that are wider than high, in pixels.
TALL, WIDE = 40, 60


def _dot_in_a_wide_picture(settings: Augmentation, at: tuple[int, int], count: int = 30) -> np.ndarray:
    """The positions of augmented dots at (x, y) from the centre of 81 × 121 pixels, (count, 2)."""
    image = np.full((2 * TALL + 1, 2 * WIDE + 1), -1, np.float32)
    image[TALL + at[1] - 2 : TALL + at[1] + 3, WIDE + at[0] - 2 : WIDE + at[0] + 3] = 1
    many = Dataset(np.tile(image, (count, 1, 1, 1)), np.zeros(count, np.int64), ("X", "O"))
    positions = []
    for (view,) in AugmentedSource(many, settings, 5).epoch(1).images:
        weight = view + 1
        y, x = np.mgrid[-TALL : TALL + 1, -WIDE : WIDE + 1]
        positions.append(((x * weight).sum() / weight.sum(), (y * weight).sum() / weight.sum()))
    return np.array(positions)


def _linear_part(settings: Augmentation) -> tuple[np.ndarray, np.ndarray]:
    """Where the augmentation takes (1, 0), (0, 1), as columns (30, 2, 2), and the centre, (30, 2)."""
    centre = _dot_in_a_wide_picture(settings, (0, 0))
    x, y = (_dot_in_a_wide_picture(settings, at) - centre for at in ((12, 0), (0, 12)))
    return np.stack([x, y], axis=2) / 12, centre


def test_all_settings_together_are_the_product_of_each_in_pictures_that_are_not_square_too() -> None:
    """A dot is sheared last; the others commute. Every setting draws what it draws alone."""
    single = [Augmentation(shear=0.3), Augmentation(scale=0.2), Augmentation(rotation=35)]
    shear, scale, rotation = (_linear_part(settings)[0] for settings in single)
    found, _ = _linear_part(Augmentation(rotation=35, scale=0.2, shear=0.3))
    inverse = np.linalg.inv
    np.testing.assert_allclose(found, inverse(inverse(rotation) @ inverse(scale) @ inverse(shear)), atol=0.02)
    assert np.abs(rotation[:, 1, 0]).max() > 0.4
    assert np.abs(shear[:, 0, 1]).max() > 0.2


def test_a_shift_is_a_share_of_the_width_across_and_of_the_height_down() -> None:
    moved = _dot_in_a_wide_picture(Augmentation(shift=0.3), (0, 0), 150)
    across, down = np.abs(moved).max(axis=0)
    assert across == pytest.approx(0.3 * 121, rel=0.06)
    assert down == pytest.approx(0.3 * 81, rel=0.06)


def test_how_follows_the_seed_and_the_epoch_alone() -> None:
    given = some()
    source = AugmentedSource(given, ALL, 1)
    first, again = source.epoch(3), AugmentedSource(given, ALL, 1).epoch(3)
    assert first.images.tobytes() == again.images.tobytes()
    assert not np.array_equal(first.images, source.epoch(4).images)
    assert not np.array_equal(first.images, AugmentedSource(given, ALL, 2).epoch(3).images)
    np.testing.assert_array_equal(first.labels, given.labels)
    assert source.count == 21


def test_without_settings_pictures_stay_as_they_are() -> None:
    given = some()
    assert AugmentedSource(given, Augmentation(), 1).epoch(0).images.tobytes() == given.images.tobytes()
    assert make_source(given, None, 1).epoch(5) is given
    assert make_source(given, ALL, 1) == AugmentedSource(given, ALL, 1)


def test_a_run_that_goes_on_sees_what_it_would_have_seen() -> None:
    network = Network((1, 12, 12), (Center(), Conv2D(2, 3), Flatten(), Dense(2)), classes=("X", "O"))
    config = TrainingConfig(batch=8, epochs=3, augmentation=ALL)
    source = make_source(some(), config.augmentation, config.seed)
    whole = Trainer(network, source, config, choose_backend("cpu"))
    list(whole.run())
    part = Trainer(network, source, config, choose_backend("cpu"))
    for step in part.run():
        if step.number == 5:
            break
    rest = Trainer(network, source, config, choose_backend("cpu"), resume_from=part.checkpoint())
    list(rest.run())
    assert {n: v.tobytes() for n, v in rest.parameters().items()} == {
        n: v.tobytes() for n, v in whole.parameters().items()
    }


@pytest.mark.parametrize(
    "settings",
    [{"shift": -0.1}, {"rotation": 181}, {"scale": math.nan}, {"shear": "wide"}, {"flip": 1}, {"shift": True}],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"The augmentation's {next(iter(settings))} must"):
        Augmentation(**settings)
