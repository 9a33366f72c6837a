"""Sample drawings for the preview of the generator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.data.xo.generator import EACH, MOST_SIDE, examples, samples
from engine.data.xo.settings import XOSettings

PLAIN = XOSettings(neither=1 / 3, noise=(0, 0), coarse=0)


def test_they_are_what_the_generator_gives_sorted_by_what_they_are() -> None:
    made, shown = examples(PLAIN, 3 * EACH, 1), samples(PLAIN)
    assert shown.settings is PLAIN
    assert shown.examples.labels.tolist() == [0] * EACH + [1] * EACH + [-1] * EACH
    for label in (0, 1, -1):
        expected = made.images[made.labels == label]
        np.testing.assert_array_equal(shown.examples.images[shown.examples.labels == label], expected)


def test_another_setting_changes_what_it_says_and_leaves_the_hand() -> None:
    before, after = samples(PLAIN).examples, samples(replace(PLAIN, gap=(-90, 20))).examples
    np.testing.assert_array_equal(after.labels, before.labels)
    changed = np.abs(after.images - before.images).max((1, 2, 3)) > 0.1
    assert changed[before.labels == 1].any()
    assert not changed[before.labels != 1].any()


def test_the_share_of_neither_hides_none_of_them() -> None:
    for share in (0.0, 1.0):
        np.testing.assert_array_equal(
            samples(replace(PLAIN, neither=share)).examples.images, samples(PLAIN).examples.images
        )


@pytest.mark.parametrize(("side", "shown"), [(9, 9), (128, 128), (1024, MOST_SIDE)])
def test_they_have_the_networks_size_unless_that_takes_long(side: int, shown: int) -> None:
    assert samples(replace(PLAIN, side=side)).examples.images.shape == (3 * EACH, 1, shown, shown)
