"""Dataset: labelled pictures to train or test on."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.drawings import FloatArray

NO_CLASS: Final = "neither"  # what the label -1 is called


@dataclass(frozen=True, eq=False)
class Dataset:
    """Encoded inputs with their labels and the names of the classes.

    images: (N, C, H, W) float32, -1 (background) to 1 (ink)
    labels: (N,) int64, an index into classes, or -1 for no class
    classes: the names, in the order of the network's outputs

    Raises ValueError for other shapes or dtypes, values outside -1 to 1 and labels without a class.
    """

    images: FloatArray
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.dtype != np.float32:
            raise ValueError(
                f"Images must be (N, channels, H, W) float32, not {images.shape} {images.dtype}; four axes."
            )
        if labels.shape != (len(images),) or labels.dtype != np.int64:
            raise ValueError(
                f"Labels must be ({len(images)},) int64, one for each image, not {labels.shape} {labels.dtype}."
            )
        if images.size and not (images.min() >= -1 and images.max() <= 1):
            raise ValueError("Images must hold values from -1 (background) to 1 (ink).")
        if labels.size and not (labels.min() >= -1 and labels.max() < len(self.classes)):
            raise ValueError(
                f"Labels must be from -1 (no class) to {len(self.classes) - 1}, as there are "
                f"{len(self.classes)} classes, not {labels.min()} to {labels.max()}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def digest(self) -> str:
        """SHA-256 of pictures, labels and classes in their order, in hexadecimal."""
        sha256 = hashlib.sha256(repr((self.classes, self.images.shape)).encode())
        for array in (self.images, self.labels):
            sha256.update(np.ascontiguousarray(array).data)
        return sha256.hexdigest()

    def take(self, indices: ArrayLike) -> Dataset:
        """The examples at `indices`, in this order. Raises IndexError for an index out of range."""
        index = np.asarray(indices, np.intp)
        return Dataset(self.images[index], self.labels[index], self.classes)

    def split(self, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
        """Shuffles and splits into a training and a held-out part; `fraction`, 0 to 1, is held out of each class.

        Unless everything or nothing is held out, each part has at least one example of each class that has two or
        more; that of a class with a single one is for training. The same seed gives the same parts. Raises
        ValueError for a fraction outside 0 to 1.
        """
        training, held_out = self.split_indices(fraction, seed)
        return self.take(training), self.take(held_out)

    def split_indices(self, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The indices of the examples of both parts of `split`. Raises ValueError as that does."""
        if not 0 <= fraction <= 1:
            raise ValueError(f"The fraction of examples held out must be from 0 to 1, not {fraction}.")
        order = np.random.default_rng(seed).permutation(len(self))
        held_out = np.zeros(len(self), bool)
        labels = self.labels[order]
        for label, count in _held_out_counts(labels, fraction).items():
            held_out[np.flatnonzero(labels == label)[:count]] = True
        return order[~held_out], order[held_out]

    @property
    def single_classes(self) -> tuple[str, ...]:
        """The classes with a single example, which a split cannot have in both parts."""
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))
        return tuple(name for name, count in zip(self.classes, counts, strict=True) if count == 1)


def _held_out_counts(labels: NDArray[np.int64], fraction: float) -> dict[int, int]:
    """How many examples of each label are held out: its share, rounded so that the total is rounded only once."""
    values, sizes = np.unique(labels, return_counts=True)
    shares = fraction * sizes
    counts = np.floor(shares).astype(np.int64)
    missing = round(fraction * len(labels)) - int(counts.sum())
    counts[np.argsort(counts - shares, kind="stable")[:missing]] += 1
    if 0 < fraction < 1:
        counts = np.minimum(np.maximum(counts, 1), sizes - 1)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


@dataclass(frozen=True)
class FixedSource:
    """The same examples in every epoch."""

    examples: Dataset

    @property
    def count(self) -> int:
        return len(self.examples)

    def epoch(self, number: int) -> Dataset:
        return self.examples

    def epoch_in_slices(self, number: int) -> Generator[None, None, Dataset]:
        yield from ()
        return self.examples
