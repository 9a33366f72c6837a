"""IDX files: all types, gzipped or not, and error messages."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.formats import find_labels_file, is_idx, read_idx
from tests.engine.refusal import error_sentence

INK = np.where(np.random.default_rng(6).random((5, 6, 7)) < 0.2, np.float32(1), np.float32(-1))
INK[:, [0, -1]] = INK[:, :, [0, -1]] = -1
GREY = ((INK + 1) / 2 * 255).astype(np.uint8)
LABELS = np.array([0, 3, 3, 9, 0], np.uint8)
# The numbers that the format has for types, from its own description.
TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx_bytes(values: np.ndarray, dtype: str = "u1") -> bytes:
    head = struct.pack(f">HBB{values.ndim}I", 0, TYPES[dtype], values.ndim, *values.shape)
    return head + values.astype(dtype).tobytes()


def claimed(shape: tuple[int, ...], body: bytes, kind: int = 8) -> bytes:
    """An IDX file with an arbitrary header."""
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + body


def words_alone(part: object) -> str:
    return part if isinstance(part, str) else ""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """The path of an images file, beside a valid labels file."""
    (tmp_path / "labels").write_bytes(idx_bytes(LABELS))
    return tmp_path / "images"


def refused(images: Path, data: bytes) -> str:
    images.write_bytes(data)
    return error_sentence(images, lambda: read_idx(images, images.with_name("labels")))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (GREY, "u1"),
        (255 - GREY, "u1"),
        (GREY // 255, "u1"),
        (INK, "i1"),
        (GREY, ">i2"),
        (GREY.astype(int) * 257, ">i4"),
        (INK, ">f4"),
        (GREY / 255, ">f8"),
    ],
)
def test_pictures_come_out_as_ink(images: Path, values: np.ndarray, dtype: str, packed: bool) -> None:
    data = idx_bytes(values, dtype)
    images.write_bytes(gzip.compress(data) if packed else data)
    found = read_idx(images, images.with_name("labels"))
    assert found.pictures.dtype == np.float32
    assert np.array_equal(found.pictures, INK)
    assert found.labels is not None
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == LABELS.tolist()
    assert found.classes is None


def test_a_gzip_file_that_hardly_holds_data(images: Path) -> None:
    """Python's own reader takes minutes for the first, and millions of members for the second."""
    data = idx_bytes(GREY)
    named = gzip.compress(data, mtime=0)
    named = named[:3] + b"\x08" + named[4:10] + b"n" * (3 << 20) + b"\0" + named[10:]
    for packed, words in (
        (named, "more than a megabyte that holds no data"),
        (gzip.compress(b"") * 1500, "pieces"),
    ):
        images.write_bytes(packed)
        assert words in error_sentence(images, lambda: read_idx(images, find_labels_file(images) or images))
        assert not is_idx(images)


def test_pictures_in_several_parts_of_gzip(images: Path) -> None:
    """gzip allows several members in one file."""
    data = idx_bytes(GREY)
    images.write_bytes(gzip.compress(data[:50]) + gzip.compress(data[50:]))
    assert np.array_equal(read_idx(images, images.with_name("labels")).pictures, INK)


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte.gz"),
        ("emnist-letters-train-images-idx3-ubyte", "emnist-letters-train-labels-idx1-ubyte"),
        ("images", "labels"),
    ],
)
def test_labels_are_found_beside_their_images(tmp_path: Path, name: str, beside: str) -> None:
    assert find_labels_file(tmp_path / name) is None
    (tmp_path / beside).touch()
    assert find_labels_file(tmp_path / name) == tmp_path / beside


def test_labels_are_not_their_own_labels(tmp_path: Path) -> None:
    (tmp_path / "train-labels-idx1-ubyte").touch()
    assert find_labels_file(tmp_path / "train-labels-idx1-ubyte") is None


def test_labels_that_are_packed_as_the_images_are_come_first(tmp_path: Path) -> None:
    for name in ("labels", "labels.gz"):
        (tmp_path / name).touch()
    assert find_labels_file(tmp_path / "images.gz") == tmp_path / "labels.gz"
    assert find_labels_file(tmp_path / "images") == tmp_path / "labels"


def test_what_begins_as_idx_does(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in (idx_bytes(GREY), idx_bytes(LABELS), gzip.compress(idx_bytes(GREY))):
        path.write_bytes(data)
        assert is_idx(path)
    for data in (
        b"",
        b"\0\0\x08",
        b"\0\0\x08\0",
        b"\0\0\x07\x03",
        b"hello",
        gzip.compress(b"hello"),
        b"\x1f\x8b\0",
    ):
        path.write_bytes(data)
        assert not is_idx(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"hello, I am a text", "is not an IDX file"),
        (gzip.compress(b"hello, I am a text"), "is not an IDX file"),
        (claimed((5, 6, 7), bytes(210), kind=10), "is not an IDX file"),
        (idx_bytes(LABELS), "has 1 axes, but images have 3"),
        (claimed((5, 3, 6, 7), bytes(630)), "has 4 axes, but images have 3"),
        (claimed((5, 6, 7), bytes(210))[:13], "is cut short"),
        (claimed((5, 6, 7), bytes(209)), "does not agree with its bytes"),
        (claimed((5, 6, 7), bytes(211)), "does not agree with its bytes"),
        (gzip.compress(claimed((5, 6, 7), bytes(209))), "does not agree with its bytes"),
        (gzip.compress(claimed((5, 6, 7), bytes(211))), "does not agree with its bytes"),
        (gzip.compress(idx_bytes(GREY))[:-9], "is damaged or cut short"),
        (gzip.compress(idx_bytes(GREY))[:-1] + b"\xff", "is damaged or cut short"),
        (claimed((0, 6, 7), b""), "not empty"),
        (idx_bytes(INK * np.nan, ">f4"), "not finite"),
        (idx_bytes(INK * 300, ">i2"), "values from -300 to 300"),
    ],
    ids=words_alone,
)
def test_what_is_no_data_set(images: Path, data: bytes, words: str) -> None:
    assert words in refused(images, data)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (idx_bytes(GREY), "has 3 axes, but labels have 1"),
        (idx_bytes(LABELS[:4]), "has 4 labels for 5 images"),
        (idx_bytes(LABELS - 2.5, ">f4"), "not integers"),
        (idx_bytes(LABELS - 2.0, "i1"), "not integers"),
    ],
    ids=words_alone,
)
def test_labels_that_are_none(images: Path, labels: bytes, words: str) -> None:
    images.write_bytes(idx_bytes(GREY))
    beside = images.with_name("labels")
    beside.write_bytes(labels)
    assert words in error_sentence(beside, lambda: read_idx(images, beside))


def test_cut_short_anywhere(images: Path) -> None:
    for data in (idx_bytes(GREY), gzip.compress(idx_bytes(GREY))):
        for length in range(0, len(data), 3):
            refused(images, data[:length])


MEASURE = """
import resource, sys, time, tracemalloc
from engine.formats.array_files import read_idx
good, labels, *bombs = sys.argv[1:]
read_idx(good, labels)
for path in bombs:
    tracemalloc.start()  # also what is asked for and never written to
    peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try: read_idx(path, labels); sentence = "opened"
    except ValueError as error: sentence = str(error)
    seconds = time.process_time() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    asked = tracemalloc.get_traced_memory()[1] // 1024
    tracemalloc.stop()
    print(seconds, max(grown, asked), sentence, sep="\\t")
"""


def bombs() -> dict[str, bytes]:
    zeros = bytes(120 << 20)
    return {
        "more than 4 GiB": claimed((2**32 - 1, 2**32 - 1, 2**32 - 1), bytes(64)),
        "256 MiB": claimed((1 << 10, 1 << 9, 1 << 9), bytes(64)),
        "2 GiB of doubles": claimed((1 << 10, 1 << 9, 1 << 9), bytes(64), kind=14),
        "256 MiB in 80 bytes of gzip": gzip.compress(claimed((1 << 10, 1 << 9, 1 << 9), bytes(64))),
        "120 MiB behind a small picture": gzip.compress(claimed((1, 8, 8), zeros), 1),
        "120 MiB of nothing": gzip.compress(zeros, 1),
        "255 axes": b"\0\0\x08\xff" + b"\0\0\0\1" * 255,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units")
def test_bombs_are_refused_fast_and_small(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(idx_bytes(GREY))
    (tmp_path / "labels").write_bytes(idx_bytes(LABELS))
    crafted = bombs()
    for name, data in crafted.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in ("good", "labels", *crafted)]
    result = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True, check=True)
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) == len(crafted)
    for name, line in zip(crafted, lines, strict=True):
        seconds, grown, sentence = line.split("\t")
        assert sentence.startswith(str(tmp_path / name)), line
        assert float(seconds) < 0.2, line
        assert int(grown) < 50 * 1024, line
