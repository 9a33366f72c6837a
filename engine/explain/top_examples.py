"""Top examples: which training examples give the highest and lowest values of each feature of a layer, and where;
all features of the layer are ranked in one pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.backends import HostArray, numpy_backend
from engine.data import (
    CHUNK_SIZE,
    LABELLED_CHUNK_SIZE,
    NO_CLASS,
    TRAINING_STREAM,
    Dataset,
    InputShape,
    TrainingData,
    encode_labelled,
    generate_chunk,
    kind_of,
)
from engine.explain.receptive_fields import Window, receptive_field, receptive_mask
from engine.nn import BatchPredictor, Model, Network
from engine.nn.layers import CellIndex

# Examples kept of each feature, of the highest and of the lowest.
TOP_COUNT: Final = 9
BINS: Final = 24
# Multiplies and bytes of a batch, and seconds after which a pass pauses.
MAX_MULTIPLIES, MAX_BYTES, SLICE_SECONDS = 20_000_000, 32 * 2**20, 0.008
# Values counted at once: some ms.
MAX_VALUES: Final = 500_000
# Bytes of the pictures kept of all features, beyond which pictures are generated again on access; and the number of
# values from which the histograms of all features are computed.
MAX_PICTURE_BYTES, MAX_PEAKS = 64 * 2**20, 4_000_000


@dataclass(frozen=True, eq=False)
class TopExample:
    """An example and its value of a feature.

    index: among the examples.
    picture: (H, W) float32, -1 to 1.
    label: the name of its class, or "neither".
    class_index: of the label among the classes, -1 for "neither".
    value: the maximum of the feature's map, or its value after Flatten.
    window: that value's receptive field.
    """

    index: int
    picture: HostArray
    label: str
    class_index: int
    value: float
    window: Window


@dataclass(frozen=True, eq=False)
class ValueDistribution:
    """Distribution of a feature's values over the examples read so far.

    count: number of those examples.
    mean, std, minimum, maximum: of all values of its map, or of its value after Flatten.
    zero_share: share of values that are exactly 0.
    inactive_share: share of examples in which all values are 0.
    classes: their names.
    peaks: (classes + 1, BINS) int64, histogram of the examples' maxima by class, no class last.
    bin_start, bin_stop: range of the histogram.
    is_scalar: whether an example has one value, after Flatten.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    zero_share: float
    inactive_share: float
    classes: tuple[str, ...]
    peaks: HostArray
    bin_start: float
    bin_stop: float
    is_scalar: bool


class TopExamples:
    """Ranks all examples for every feature of `layer`, counted from 1, slice by slice. Raises ValueError for a
    network with other classes than the examples."""

    def __init__(self, model: Model, layer: int, reader: ExampleReader) -> None:
        network = model.network
        if network.classes != reader.classes:
            raise ValueError(
                f"The classes of the examples are {' and '.join(reader.classes)}, but those of the network "
                f"{' and '.join(network.classes)}; choose a network with the same ones."
            )
        self._network, self._layer, self._reader = network, layer, reader
        self._shape = network.shapes[layer]
        count = self._shape[0]
        self._parameters = model.parameters
        self._labels = np.full(reader.count, -1, np.int64)
        # Of the highest values and, with the opposite sign, of the lowest: (2, features, NINE).
        self._values = np.full((2, count, TOP_COUNT), -np.inf, np.float32)
        self._indices = np.full((2, count, TOP_COUNT), -1, np.int64)
        self._cells = np.zeros((2, count, TOP_COUNT), np.int64)
        self._sums, self._squares = np.zeros(count), np.zeros(count)
        self._counts = np.zeros(count, np.int64)
        self._zeros, self._inactive = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._minimum, self._maximum = np.full(count, np.inf), np.full(count, -np.inf)
        self._every = -(-reader.count * count // MAX_PEAKS)
        self._peaks = np.zeros((-(-reader.count // self._every), count), np.float32)
        self._pictures: dict[int, HostArray] | None = {}
        if 2 * TOP_COUNT * count * 4 * math.prod(network.input_shape) > MAX_PICTURE_BYTES:
            self._pictures = None
        self._windows: dict[int, Window] = {}
        self.examples_read = 0
        self._slices = self._run()

    @property
    def progress(self) -> float:
        """Share of the examples read."""
        return self.examples_read / self._reader.count

    def advance(self) -> None:
        """Run one slice, if any is left. Raises ValueError for a labelled drawing of an unknown class, and for a
        network that is too large."""
        with np.errstate(over="ignore", invalid="ignore"):  # weights of a diverged training overflow
            next(self._slices, None)

    def highest(self, channel: int) -> Iterator[TopExample | None]:
        """The examples with the highest values, the highest first; None before a picture is generated again."""
        return self._top(0, channel)

    def lowest(self, channel: int) -> Iterator[TopExample | None]:
        """The examples with the lowest values, the lowest first; None before a picture is generated again."""
        return self._top(1, channel)

    def distribution(self, channel: int) -> ValueDistribution | None:
        """The distribution of the feature's values; None before the first example."""
        read = int(self._counts[channel])
        if not read:
            return None
        values = read * int(np.prod(self._shape[1:]))
        mean = float(self._sums[channel]) / values
        variance = max(float(self._squares[channel]) / values - mean**2, 0.0)
        sampled = -(-read // self._every)
        peaks, labels = self._peaks[:sampled, channel], self._labels[: read : self._every]
        finite = np.isfinite(peaks)
        first, last = (float(peaks[finite].min()), float(peaks[finite].max())) if finite.any() else (0.0, 0.0)
        by_class = [peaks[finite & (labels == label)] for label in (*range(len(self._network.classes)), -1)]
        histogram = np.stack([np.histogram(each, BINS, (first, last))[0] for each in by_class])
        return ValueDistribution(
            read,
            mean,
            float(np.sqrt(variance)),
            float(self._minimum[channel]),
            float(self._maximum[channel]),
            int(self._zeros[channel]) / values,
            int(self._inactive[channel]) / read,
            self._network.classes,
            histogram,
            first,
            last,
            len(self._shape) == 1,
        )

    def _top(self, side: int, channel: int) -> Iterator[TopExample | None]:
        sign = -1 if side else 1
        for value, index, cell in zip(
            self._values[side, channel].tolist(),
            self._indices[side, channel].tolist(),
            self._cells[side, channel].tolist(),
            strict=True,
        ):
            if index < 0:
                return
            picture = None if self._pictures is None else self._pictures.get(index)
            if picture is None:
                yield None
                picture = self._reader.picture(index)
            class_index = int(self._labels[index])
            label = (*self._network.classes, NO_CLASS)[class_index]
            yield TopExample(index, picture, label, class_index, sign * value, self._window(channel, cell))

    def _window(self, channel: int, flat: int) -> Window:
        """The receptive field of the value at a flat index of the feature's map."""
        key = flat if len(self._shape) == 3 else channel
        if key not in self._windows:
            cell = (channel, *divmod(flat, self._shape[2])) if len(self._shape) == 3 else (channel,)
            self._windows[key] = receptive_box(self._network, self._layer, cell)
        return self._windows[key]

    def _run(self) -> Iterator[None]:
        predictor = self._predictor()
        for part in range(self._reader.part_count):
            examples, first = self._reader.part(part), self._reader.first_index(part)
            yield
            for done in predictor.iter_batches(examples.images, SLICE_SECONDS, self._layer):
                if done is not None:
                    output = predictor.plan.layer_arrays[self._layer - 1].y[..., : len(done)]
                    yield from self._add(output, examples.labels[done.start : done.stop], first + done.start)
                    self._keep_pictures(examples.images[done.start : done.stop], first + done.start)
                yield

    def _predictor(self) -> BatchPredictor:
        network = self._network
        cost = sum(cost.multiplies for cost in network.costs[: self._layer])
        size = min(MAX_MULTIPLIES // max(cost, 1), MAX_BYTES // network.image_bytes, CHUNK_SIZE)
        predictor = BatchPredictor(network, numpy_backend("explanations"), max(1, size), keep_outputs=True)
        predictor.load(self._parameters)
        return predictor

    def _add(self, output: HostArray, labels: HostArray, first: int) -> Iterator[None]:
        """Add values (*shape, n) of the examples from index `first` on, some features at a time."""
        count, examples = self._shape[0], output.shape[-1]
        self._labels[first : first + examples] = labels
        at_once = max(1, MAX_VALUES * count // output.size)
        for start in range(0, count, at_once):
            if start:
                yield
            some = slice(start, min(start + at_once, count))
            self._add_features(output[some].reshape(some.stop - start, -1, examples), some, first)
        self.examples_read = first + examples

    def _add_features(self, maps: HostArray, some: slice, first: int) -> None:
        """Add maps (features, cells, examples) of the features in `some`."""
        examples = maps.shape[-1]
        cells = maps.argmax(axis=1)
        peaks = np.take_along_axis(maps, cells[:, None], axis=1)[:, 0]
        for side, signed in enumerate((peaks, -peaks)):
            self._rank(side, some, signed, cells, first)
        self._sums[some] += maps.sum(axis=(1, 2), dtype=np.float64)
        self._squares[some] += np.einsum("cpn,cpn->c", maps, maps, dtype=np.float64)
        zero = maps == 0
        self._zeros[some] += zero.sum(axis=(1, 2))
        self._inactive[some] += zero.all(axis=1).sum(axis=1)
        self._minimum[some] = np.minimum(self._minimum[some], maps.min(axis=(1, 2)))
        self._maximum[some] = np.maximum(self._maximum[some], peaks.max(axis=1))
        sampled = np.arange(-first % self._every, examples, self._every)
        self._peaks[(first + sampled) // self._every, some] = peaks[:, sampled].T
        self._counts[some] = first + examples

    def _rank(self, side: int, some: slice, values: HostArray, cells: HostArray, first: int) -> None:
        """Keep the NINE largest of those kept and these (features, n); of equal ones the earlier comes first."""
        indices = np.broadcast_to(np.arange(first, first + values.shape[1]), values.shape)
        all_values = np.concatenate([self._values[side, some], values], axis=1)
        order = np.argsort(-all_values, axis=1, kind="stable")[:, :TOP_COUNT]
        for kept, new in ((self._values, values), (self._indices, indices), (self._cells, cells)):
            both = np.concatenate([kept[side, some], new], axis=1)
            kept[side, some] = np.take_along_axis(both, order, axis=1)

    def _keep_pictures(self, images: HostArray, first: int) -> None:
        """Keep the pictures of the ranked examples, and drop all others."""
        if self._pictures is None:
            return
        ranked = set(np.unique(self._indices).tolist())
        self._pictures = {index: picture for index, picture in self._pictures.items() if index in ranked}
        for index in ranked.intersection(range(first, first + len(images))):
            picture = images[index - first, 0].copy()
            picture.flags.writeable = False
            self._pictures[index] = picture


class ExampleReader:
    """Reads training data part by part as a network with this input reads them, generating them again on every
    access; labelled drawings come last, each once.

    generated: all generated examples, if they exist already.
    limit: number of generated examples that suffice.
    """

    def __init__(
        self,
        training_data: TrainingData,
        input_shape: InputShape,
        generated: Dataset | None = None,
        limit: int | None = None,
    ) -> None:
        """Raises ShapeError if there are no such examples of this input."""
        self.training_data, pool = training_data, training_data.generated
        fitted = kind_of(pool.generator).with_input_shape(pool.generator, input_shape)
        total = training_data.generated_count
        self.classes = pool.classes
        # Parts are generated whole, so that fewer examples are the first of them.
        count = total if limit is None else min(total, -(-limit // CHUNK_SIZE) * CHUNK_SIZE)
        self._settings, self._generated_count = replace(pool, generator=fitted, count=max(count, 1)), count
        self._labelled = [replace(each, weight=1) for each in training_data.labelled_samples if each.weight]
        fits = generated is not None and len(generated) >= count and generated.images.shape[1:] == input_shape
        self._generated = generated if fits else None
        self._last: tuple[int, Dataset] | None = None
        self._generated_parts = -(-count // CHUNK_SIZE)
        self.part_count = self._generated_parts + -(-len(self._labelled) // LABELLED_CHUNK_SIZE)
        self.count = count + len(self._labelled)

    def first_index(self, part: int) -> int:
        """The index of the first example of a part."""
        beyond = part - self._generated_parts
        return part * CHUNK_SIZE if beyond < 0 else self._generated_count + beyond * LABELLED_CHUNK_SIZE

    def part(self, part: int) -> Dataset:
        """One part. Raises ValueError for a labelled drawing of an unknown class."""
        if self._last is None or self._last[0] != part:
            self._last = part, self._read_part(part)
        return self._last[1]

    def picture(self, index: int) -> HostArray:
        """One example's picture, (H, W)."""
        beyond = index - self._generated_count
        part = index // CHUNK_SIZE if beyond < 0 else self._generated_parts + beyond // LABELLED_CHUNK_SIZE
        picture: HostArray = self.part(part).images[index - self.first_index(part), 0]
        return picture

    def _read_part(self, part: int) -> Dataset:
        first = self.first_index(part)
        if part >= self._generated_parts:
            start = first - self._generated_count
            return encode_labelled(self._labelled[start : start + LABELLED_CHUNK_SIZE], self._settings.generator)
        if self._generated is None:
            return generate_chunk(self._settings, TRAINING_STREAM, part)
        last = min(first + CHUNK_SIZE, self._generated_count)
        return Dataset(self._generated.images[first:last], self._generated.labels[first:last], self.classes)


def receptive_box(network: Network, layer: int, cell: CellIndex) -> Window:
    """The bounding (rows, columns) in the picture of the receptive field of the value at `cell` of the output of
    `layer`; empty where it depends on padding only. Raises IndexError if there is no such value."""
    row, column = cell[1:] if len(cell) == 3 else (0, 0)
    window = receptive_field(network, layer, row, column)[0] if len(network.shapes[layer]) == 3 else None
    if window is not None:
        return window
    mask = np.any(receptive_mask(network, layer, cell)[0], axis=0)
    return _extent(np.any(mask, axis=1)), _extent(np.any(mask, axis=0))


def _extent(mask: HostArray) -> range:
    """From the first True to the last."""
    indices = np.flatnonzero(mask)
    return range(int(indices[0]), int(indices[-1]) + 1) if len(indices) else range(0)
