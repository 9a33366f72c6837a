"""Examples from files: which kind of file or folder it is, and its pictures as a network reads them.

Not the formats themselves, which are in engine/formats, nor the generator of drawings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from engine.data.dataset import Examples
from engine.data.folders import (
    Progress,
    check_classes,
    check_room,
    entries_of,
    listed,
    read_archive,
    read_tree,
    tree_of,
)
from engine.drawings.drawing import Array
from engine.formats.array_files import (
    MOST_CLASSES,
    PACKED_SUFFIX,
    Labels,
    is_idx,
    labels_of_images,
    read_idx,
    read_images,
)
from engine.formats.atomic_file import StorageError, shown, size_of
from engine.formats.pictures import to_input
from engine.nn.layers import ShapeError, shape_text

FILE_LIMIT: Final = 1 << 30
XO: Final = ("X", "O")
_CHUNK = 1 << 20  # values worked on at once, so that they take little room


def read_examples(path: Path, input_shape: tuple[int, int, int], progress: Progress | None = None) -> Examples:
    """The labelled pictures of a data set, for a network with this input, (1, side, side).

    path is one of
    - a folder, or a zip of one, with a folder of pictures for each class, as in `read_tree`;
    - an npz file with images and labels, as in `read_images`. Its classes are named by its `classes`; without them
      they are X and O if the labels are 0 and 1 only, as for `xo classify`, else the labels that occur;
    - the images file of an IDX data set, its labels lying beside it, or the folder of both; of several sets in one
      folder the one whose name begins with "train". The classes are the labels that occur.

    Whichever it is: ink is told from background as in drawings, pictures of the network's size enter as they are,
    others are fitted by area averaging, and "neither" or "none" is no class, its pictures labelled -1.

    progress is told now and then how many pictures are in, and of how many; what it raises ends the reading. Raises
    ShapeError for a network that reads no single square map, StorageError, one sentence that names the file, for
    data that cannot be read in whole, has fewer than two classes with pictures, or takes more than 1 GiB.
    """
    channels, height, width = input_shape
    if channels != 1 or height != width:
        raise ShapeError(
            f"The network reads {shape_text(input_shape)}, but pictures from files are one square map of ink; "
            "choose a network with a 1 × n × n input."
        )
    path = Path(path)
    if path.is_dir():
        images = _images_in(path)
        return _of_idx(images, height, progress) if images else read_tree(path, tree_of(path), height, progress)
    size_of(path, FILE_LIMIT)
    if path.suffix.lower() == ".npz":
        return _of_npz(path, height, progress)
    if path.suffix.lower() == ".zip":
        return read_archive(path, height, progress)
    if is_idx(path):
        return _of_idx(path, height, progress)
    raise StorageError(
        f"{shown(path)} is no data set that can be read; use a folder, or a zip of one, with a folder of pictures "
        "for each class, an npz with images and labels, or the images of an IDX data set."
    )


def _images_in(folder: Path) -> Path | None:
    """The images file of an IDX data set in a folder, or None. Raises StorageError if there are several."""
    names = {entry.name for entry in entries_of(str(folder)) if "images" in entry.name}
    # Where a file is there both packed and not, the packed one is left alone.
    single = [name for name in sorted(names) if name.removesuffix(PACKED_SUFFIX) not in names - {name}]
    found = [path for path in map(folder.joinpath, single) if path.is_file() and labels_of_images(path)]
    found = [path for path in found if is_idx(path)]
    training = [path for path in found if path.name.startswith("train")]
    if len(found) > 1 and len(training) != 1:
        several = listed([path.name for path in found])
        raise StorageError(f"{shown(folder)} holds several data sets, {several}; name one of these files.")
    return next(iter(training or found), None)


def _of_idx(path: Path, side: int, progress: Progress | None) -> Examples:
    labels_path = labels_of_images(path)
    if labels_path is None:
        raise StorageError(
            f"{shown(path)} needs its labels beside it, in a file of the same name with 'labels' for 'images'; "
            "put them there, or name the images."
        )
    found = read_idx(path, labels_path)
    assert found.labels is not None
    return _examples(path, found.pictures, *_numbered(path, found.labels), side, progress)


def _of_npz(path: Path, side: int, progress: Progress | None) -> Examples:
    found = read_images(path)
    if found.labels is None:
        raise StorageError(f"{shown(path)} has no array called labels; it needs one label for each image.")
    if found.classes is not None:
        labels, classes = found.labels, found.classes
    elif found.labels.max() <= 1:
        labels, classes = found.labels, XO
    else:
        labels, classes = _numbered(path, found.labels)
    return _examples(path, found.pictures, labels, classes, side, progress)


def _numbered(path: Path, labels: Labels) -> tuple[Labels, tuple[str, ...]]:
    """Labels as places in the sorted ones that occur, and those as names; -1 stays -1."""
    occurring = np.unique(labels[labels >= 0])
    if len(occurring) > MOST_CLASSES:
        raise StorageError(f"{shown(path)} has {len(occurring):,} different labels; use at most {MOST_CLASSES:,}.")
    places = np.where(labels < 0, -1, np.searchsorted(occurring, labels))
    return places, tuple(str(label) for label in occurring)


def _examples(
    path: Path, pictures: Array, labels: Labels, classes: tuple[str, ...], side: int, progress: Progress | None
) -> Examples:
    """Examples of pictures (N, H, W), fitted."""
    check_classes(path, labels, classes)
    check_room(path, len(pictures), side)
    if pictures.shape[1:] == (side, side):
        return Examples(pictures[:, None], labels, classes)
    images = np.empty((len(pictures), 1, side, side), np.float32)
    step = max(1, _CHUNK // max(pictures[0].size, side * side))
    for start in range(0, len(pictures), step):
        images[start : start + step, 0] = to_input(pictures[start : start + step], side)
        if progress:
            progress(min(start + step, len(pictures)), len(pictures))
    return Examples(images, labels, classes)
