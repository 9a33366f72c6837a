"""Sample drawings for the preview of the generator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.data import SAMPLES_PER_CLASS, generate_samples
from engine.data.xo import XOSettings, generate_dataset
from engine.data.xo.kind import MAX_SAMPLE_SIDE

PLAIN = XOSettings(neither=1 / 3, noise=(0, 0), coarse=0)


def test_they_are_what_the_generator_gives_sorted_by_what_they_are() -> None:
    made, shown = generate_dataset(PLAIN, 3 * SAMPLES_PER_CLASS, 1), generate_samples(PLAIN)
    assert shown.settings is PLAIN
    assert (
        shown.dataset.labels.tolist()
        == [0] * SAMPLES_PER_CLASS + [1] * SAMPLES_PER_CLASS + [-1] * SAMPLES_PER_CLASS
    )
    for label in (0, 1, -1):
        expected = made.images[made.labels == label]
        np.testing.assert_array_equal(shown.dataset.images[shown.dataset.labels == label], expected)


def test_another_setting_changes_what_it_says_and_leaves_the_hand() -> None:
    before, after = generate_samples(PLAIN).dataset, generate_samples(replace(PLAIN, gap=(-90, 20))).dataset
    np.testing.assert_array_equal(after.labels, before.labels)
    changed = np.abs(after.images - before.images).max((1, 2, 3)) > 0.1
    assert changed[before.labels == 1].any()
    assert not changed[before.labels != 1].any()


def test_the_share_of_neither_hides_none_of_them() -> None:
    for share in (0.0, 1.0):
        np.testing.assert_array_equal(
            generate_samples(replace(PLAIN, neither=share)).dataset.images, generate_samples(PLAIN).dataset.images
        )


@pytest.mark.parametrize(("side", "shown"), [(9, 9), (128, 128), (1024, MAX_SAMPLE_SIDE)])
def test_they_have_the_networks_size_unless_that_takes_long(side: int, shown: int) -> None:
    assert generate_samples(replace(PLAIN, side=side)).dataset.images.shape == (
        3 * SAMPLES_PER_CLASS,
        1,
        shown,
        shown,
    )
