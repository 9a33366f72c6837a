"""ArrayView: layouts, overlap and equality of views."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends.cuda.arrays import ArrayView, view_of


def seen(array: np.ndarray) -> ArrayView:
    return view_of(array.__array_interface__["data"][0], array, array.shape, array.strides)


MAPS = np.arange(2 * 6 * 5 * 3, dtype=np.float32).reshape(2, 6, 5, 3)
VIEWS = [
    MAPS,
    MAPS[:, 1:5, 1:4],
    MAPS[:, ::2],
    MAPS[1],
    MAPS[:, :, :, 0],
    MAPS[:1, :1, :1, :1],
    MAPS.transpose(3, 0, 1, 2),
    np.broadcast_to(MAPS[:, :1, :1], MAPS.shape),
]


@pytest.mark.parametrize("array", VIEWS, ids=lambda array: f"{array.shape}-{array.strides}")
def test_the_layout_addresses_every_value(array: np.ndarray) -> None:
    """Evaluated as in layout.cuh: extents from the last axis on, 0 where there are no more."""
    layout = seen(array).layout()
    extents, strides = layout["extent"]["by"].tolist(), layout["stride"].tolist()
    memory = MAPS.ravel()[(array.__array_interface__["data"][0] - MAPS.__array_interface__["data"][0]) // 4 :]
    for place, value in enumerate(array.ravel()):
        rest, found = place, 0
        for axis in range(4):
            extent = extents[axis] if axis < 3 else 0
            found += (rest % extent if extent else rest) * strides[axis]
            if not extent:
                break
            rest //= extent
        assert memory[found] == value


def test_contiguous_axes_are_merged() -> None:
    assert (seen(MAPS).extents, seen(MAPS).strides) == ((180,), (1,))
    assert seen(MAPS[:, 1:5, 1:4]).extents == (2, 4, 9)
    assert seen(MAPS).is_contiguous
    assert not seen(MAPS[:, 1:5]).is_contiguous


def test_a_reshaped_array_has_the_same_elements_and_a_shifted_one_has_not() -> None:
    assert seen(MAPS).same_elements(seen(MAPS.reshape(12, 15)))
    assert not seen(MAPS[:, 1:5]).same_elements(seen(MAPS[:, :4]))
    assert not seen(MAPS[0]).same_elements(seen(MAPS[0].transpose(1, 0, 2)))


def test_only_views_of_the_same_memory_overlap() -> None:
    assert seen(MAPS[0]).overlaps(seen(MAPS))
    assert not seen(MAPS[0]).overlaps(seen(MAPS[1]))
    assert not seen(MAPS[:0]).overlaps(seen(MAPS))


def test_more_values_than_an_int_can_count_are_refused() -> None:
    huge = np.broadcast_to(np.float32(0), (2**16, 2**16))
    with pytest.raises(ValueError, match="at most"):
        seen(huge)
