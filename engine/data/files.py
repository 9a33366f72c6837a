"""Pictures: the kind of data of files and folders, whose format is detected, and whose pictures are resampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from engine.data.data_kind import DataSettings, ExampleInput, InputShape, ReadProgress
from engine.data.dataset import Dataset
from engine.data.drawing_kind import DrawingKind
from engine.data.folders import (
    check_classes,
    check_total_size,
    is_hidden,
    join_names,
    list_entries,
    read_archive,
    read_tree,
    scan_folder,
)
from engine.drawings import Drawing, FloatArray
from engine.formats import (
    GZIP_SUFFIX,
    MAX_CLASSES,
    FileError,
    Labels,
    Note,
    checked_size,
    find_labels_file,
    is_idx,
    quoted,
    read_idx,
    read_npz,
    to_input,
)
from engine.nn.layers import ShapeError, shape_text

FILE_LIMIT: Final = 1 << 30
_CHUNK = 1 << 20  # values resampled at once, to limit memory


class Pictures(DrawingKind[DataSettings]):
    """Pictures in files and folders, of classes that the files bring.

    numbered_classes: the classes of the labels 0 and 1 in files that name none
    """

    name = "pictures"
    title = "Pictures"
    noun = "picture"
    plural = "pictures"

    def __init__(self, numbered_classes: tuple[str, ...]) -> None:
        self._numbered_classes = numbered_classes

    def generate(self, settings: DataSettings, count: int, seed: int | Sequence[int]) -> Dataset:
        raise ValueError(self.not_generated)

    def class_counts(self, settings: DataSettings, count: int) -> tuple[int, ...]:
        raise ValueError(self.not_generated)

    def example(
        self, label: str, input_shape: InputShape, rng: np.random.Generator, turn: int = 0
    ) -> ExampleInput[Drawing]:
        raise ValueError(self.not_generated)

    def reads_examples(self, input_shape: InputShape) -> bool:
        channels, height, width = input_shape
        return channels == 1 and height == width

    def read_examples(
        self,
        path: Path,
        input_shape: InputShape,
        progress: ReadProgress | None = None,
        note: Note | None = None,
    ) -> Dataset:
        """Reads a data set for a network with the input shape (1, side, side).

        path is one of
        - a folder, or a zip of one, with a subfolder of pictures for each class, as in `read_tree`;
        - an npz file with images and labels, as in `read_npz`. Without an array `classes`, the classes are
          `numbered_classes` if the labels are only 0 and 1, as for `xo classify`, else the labels that occur;
        - the images file of an IDX data set with the labels file beside it, or the folder of both; of several sets
          in a folder, the one whose name begins with "train". The classes are the labels that occur.

        Ink and background are detected by `as_ink`. Pictures of another size are resampled by area averaging. The
        class names "neither" and "none" become the label -1.

        Raises ShapeError for a network without a single square input map; FileError, one sentence that names the
        file, for unreadable data, fewer than two classes with pictures, or more than 1 GiB.
        """
        if not self.reads_examples(input_shape):
            raise ShapeError(
                f"The network's input is {shape_text(input_shape)}, but pictures from files are one square map of "
                "ink; choose a network with a 1 × n × n input."
            )
        _, side, _ = input_shape
        if path.is_dir():
            images = _find_images_file(path)
            return (
                _read_idx(images, side, progress)
                if images
                else read_tree(path, scan_folder(path), side, progress, note)
            )
        checked_size(path, FILE_LIMIT)
        if path.suffix.lower() == ".npz":
            return _read_npz(path, side, self._numbered_classes, progress)
        if path.suffix.lower() == ".zip":
            return read_archive(path, side, progress, note)
        if is_idx(path):
            return _read_idx(path, side, progress)
        raise FileError(
            f"{quoted(path)} is not a data set that can be read; use a folder, or a zip of one, with a subfolder "
            "of pictures for each class, an npz with images and labels, or the images of an IDX data set."
        )


def _find_images_file(folder: Path) -> Path | None:
    """The images file of an IDX data set in a folder, or None. Raises FileError if there are several."""
    listed = (entry.name for entry in list_entries(str(folder)))
    names = {name for name in listed if "images" in name and not is_hidden(name)}
    # A gzip file is ignored if the same file is there unpacked.
    single = [name for name in sorted(names) if name.removesuffix(GZIP_SUFFIX) not in names - {name}]
    candidates = [path for path in map(folder.joinpath, single) if path.is_file() and find_labels_file(path)]
    candidates = [path for path in candidates if is_idx(path)]
    training = [path for path in candidates if path.name.startswith("train")]
    if len(candidates) > 1 and len(training) != 1:
        several = join_names([path.name for path in candidates])
        raise FileError(f"{quoted(folder)} holds several data sets, {several}; name one of these files.")
    return next(iter(training or candidates), None)


def _read_idx(path: Path, side: int, progress: ReadProgress | None) -> Dataset:
    labels_path = find_labels_file(path)
    if labels_path is None:
        raise FileError(
            f"{quoted(path)} needs its labels beside it, in a file of the same name with 'labels' for 'images'; "
            "put them there, or name the images."
        )
    data = read_idx(path, labels_path)
    assert data.labels is not None
    return _resampled(path, data.pictures, *_encode_labels(path, data.labels), side, progress)


def _read_npz(path: Path, side: int, numbered_classes: tuple[str, ...], progress: ReadProgress | None) -> Dataset:
    data = read_npz(path)
    if data.labels is None:
        raise FileError(f"{quoted(path)} has no array called labels; it needs one label for each image.")
    if data.classes is not None:
        labels, classes = data.labels, data.classes
    elif data.labels.max() <= 1:
        labels, classes = data.labels, numbered_classes
    else:
        labels, classes = _encode_labels(path, data.labels)
    return _resampled(path, data.pictures, labels, classes, side, progress)


def _encode_labels(path: Path, labels: Labels) -> tuple[Labels, tuple[str, ...]]:
    """Labels as indices into the sorted distinct labels, and these as class names; -1 stays -1."""
    distinct = np.unique(labels[labels >= 0])
    if len(distinct) > MAX_CLASSES:
        raise FileError(f"{quoted(path)} has {len(distinct):,} different labels; use at most {MAX_CLASSES:,}.")
    indices = np.where(labels < 0, -1, np.searchsorted(distinct, labels))
    return indices, tuple(str(label) for label in distinct)


def _resampled(
    path: Path,
    pictures: FloatArray,
    labels: Labels,
    classes: tuple[str, ...],
    side: int,
    progress: ReadProgress | None,
) -> Dataset:
    """A Dataset of pictures (N, H, W), resampled to (side, side)."""
    check_classes(path, labels, classes)
    check_total_size(path, len(pictures), side)
    if pictures.shape[1:] == (side, side):
        return Dataset(pictures[:, None], labels, classes)
    images = np.empty((len(pictures), 1, side, side), np.float32)
    chunk = max(1, _CHUNK // max(pictures[0].size, side * side))
    for start in range(0, len(pictures), chunk):
        images[start : start + chunk, 0] = to_input(pictures[start : start + chunk], side)
        if progress:
            progress(min(start + chunk, len(pictures)), len(pictures))
    return Dataset(images, labels, classes)
