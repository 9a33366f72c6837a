"""Data sources and held-out examples."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data import (
    Dataset,
    ExamplePool,
    FixedSource,
    GeneratedSource,
    PoolCache,
    PoolSettings,
    TrainingData,
)
from tests.engine.small_runs import DATA


def test_generated_drawings_follow_the_seed_and_the_epoch() -> None:
    def drawn(seed: int, epoch: int) -> bytes:
        return GeneratedSource(DATA, 10, seed).epoch(epoch).images.tobytes()

    assert len({drawn(1, 0), drawn(1, 1), drawn(2, 0), drawn(2, 1)}) == 4
    assert drawn(2, 1) == drawn(2, 1)


def test_held_out_drawings_are_never_trained_on() -> None:
    source = GeneratedSource(DATA, 200, 1)
    seen = {image.tobytes() for epoch in range(3) for image in source.epoch(epoch).images}
    assert not seen & {image.tobytes() for image in source.held_out(200).images}


def test_a_fixed_source_gives_the_same_in_every_epoch() -> None:
    examples = GeneratedSource(DATA, 20, 1).epoch(0)
    assert FixedSource(examples).epoch(0) is FixedSource(examples).epoch(5) is examples


# Each picture holds its own number, so that it is known wherever it goes.
NUMBERED = Dataset(
    (np.arange(50, dtype=np.float32) / 100)[:, None, None, None] * np.ones((1, 1, 2, 2), np.float32),
    np.arange(50) % 3 - 1,
    ("X", "O"),
)


def numbers(part: Dataset) -> list[int]:
    assert (part.images == part.images[:, :, :1, :1]).all()
    found = np.rint(part.images[:, 0, 0, 0] * 100).astype(int)
    assert (part.labels == found % 3 - 1).all()
    return found.tolist()


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.2, 10), (0.33, 16), (0.5, 25), (1.0, 50)])
def test_a_split_keeps_every_example_once_and_its_label_beside_it(share: float, count: int) -> None:
    learnt, held_out = (numbers(part) for part in NUMBERED.split(share, 7))
    assert len(held_out) == count
    assert sorted(learnt + held_out) == list(range(50))


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.98])
def test_a_split_has_some_of_each_class_in_both_parts(share: float, seed: int) -> None:
    labels = np.repeat(np.arange(-1, 3), (5, 60, 2, 1))
    images = np.zeros((len(labels), 1, 2, 2), np.float32)
    dataset = Dataset(images, labels, ("X", "O", "single"))
    learnt, held_out = dataset.split(share, seed)
    assert set(learnt.labels) == {-1, 0, 1, 2}
    assert set(held_out.labels) == {-1, 0, 1}
    assert dataset.single_classes == ("single",)
    if 0.1 < share < 0.9:
        assert abs((held_out.labels == 0).sum() - share * 60) <= 1


def test_a_split_is_drawn_from_its_seed() -> None:
    first = [numbers(NUMBERED.split(0.2, seed)[1]) for seed in (1, 1, 2)]
    assert first[0] == first[1] != first[2]
    assert first[0] != list(range(10))


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="held out must be from 0 to 1"):
        NUMBERED.split(share, 1)


def test_a_split_holds_out_more_of_the_class_with_the_larger_remainder() -> None:
    labels = np.repeat([0, 1], [10, 13])
    dataset = Dataset(np.zeros((23, 1, 1, 1), np.float32), labels, ("X", "O"))
    for seed in range(3):  # shares of 2.5 and 3.25, six in all
        assert np.bincount(dataset.split(0.25, seed)[1].labels).tolist() == [3, 3]


def test_a_pool_has_as_many_examples_as_asked_for_and_holds_out_none_that_it_trains_on() -> None:
    pool = ExamplePool(PoolSettings(DATA, 150, 130, seed=4))
    pool.generate_all()
    assert (len(pool.training), len(pool.held_out)) == (150, 130)
    learnt, held_out = ({image.tobytes() for image in part.images} for part in (pool.training, pool.held_out))
    assert not learnt & held_out


def test_pools_that_just_fit_the_budget_are_kept() -> None:
    several = [TrainingData(PoolSettings(DATA, 10, 10, seed=seed)) for seed in (1, 2, 3)]
    cache = PoolCache(2 * several[0].nbytes)
    first, second = (cache.get(each) for each in several[:2])
    cache.retain()
    assert cache.get(several[0]) is first
    cache.get(several[2])
    cache.retain(several[2])
    assert cache.get(several[0]) is first, "the least recently used is made again"
    assert cache.get(several[1]) is not second
