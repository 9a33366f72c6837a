"""Datasets from files: detection of the format, resampling, and error messages."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data import read_dataset
from engine.data.xo import ARTICLE_PICTURES
from engine.drawings import Drawing, render
from tests.engine.data.test_folders import CROSS, RING, TWO, on_disk, zipped
from tests.engine.formats.test_idx import idx_bytes
from tests.engine.refusal import error_sentence

SHAPE = (1, 9, 9)
INK = np.stack([ARTICLE_PICTURES[name] for name in ("X", "O", "X rotation", "O weight")])
GREY = ((INK + 1) / 2 * 255).astype(np.uint8)


def refused(path: Path, shape: tuple[int, int, int] = SHAPE) -> str:
    return error_sentence(path, lambda: read_dataset(path, shape))


def write_idx(folder: Path, labels: list[int], name: str = "train", packed: bool = False) -> Path:
    """Writes the four pictures as an IDX data set; returns its images file."""
    folder.mkdir(exist_ok=True)
    end, pack = (".gz", gzip.compress) if packed else ("", bytes)
    (folder / f"{name}-labels-idx1-ubyte{end}").write_bytes(pack(idx_bytes(np.array(labels))))
    images = folder / f"{name}-images-idx3-ubyte{end}"
    images.write_bytes(pack(idx_bytes(GREY)))
    return images


# --- resampling


@pytest.mark.parametrize("side", [9, 6, 20, 32])
@pytest.mark.parametrize("size", [(9, 9), (40, 40), (30, 41), (12, 5)])
@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_a_picture_is_what_the_same_drawing_would_be(
    tmp_path: Path, side: int, size: tuple[int, int], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.data.files._CHUNK", chunk)
    ink = np.random.default_rng(3).uniform(-1, 1, (2, *size)).astype(np.float32)
    ink[:, [0, -1]] = ink[:, :, [0, -1]] = -1
    grey = np.round((1 - ink) / 2 * 255).astype(np.uint8)
    for number, name in enumerate(("cross", "ring")):
        (tmp_path / "set" / name).mkdir(parents=True)
        Image.fromarray(grey[number]).save(tmp_path / "set" / name / "a.png")
    np.savez(tmp_path / "set.npz", images=grey, labels=np.array([0, 1]))
    drawn = [render(Drawing(image=1 - np.float32(2) * (one / np.float32(255))), side) for one in grey]
    for path in (tmp_path / "set", tmp_path / "set.npz"):
        images = read_dataset(path, (1, side, side)).images
        assert images.shape == (2, 1, side, side)
        assert images.dtype == np.float32
        np.testing.assert_allclose(images[:, 0], drawn, atol=2e-6)


def test_pictures_of_the_networks_size_enter_to_the_bit(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=np.array([0, 1, 0, 1]))
    for path in (on_disk(tmp_path / "set", TWO), tmp_path / "a.npz", write_idx(tmp_path / "idx", [0, 1, 0, 1])):
        assert np.array_equal(read_dataset(path, SHAPE).images[:2, 0], INK[:2])


@pytest.mark.parametrize("shape", [(3, 9, 9), (1, 9, 8), (0, 9, 9)])
def test_a_network_that_reads_something_else(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    """The network is refused before anything is read."""
    with pytest.raises(ValueError, match=r"^The network's input is .* one square map of ink; choose .*\.$"):
        read_dataset(tmp_path / "missing", shape)


def test_progress_reaches_the_end_and_may_end_the_reading(tmp_path: Path) -> None:
    files = {f"{name}/{n}.png": data for name, data in (("cross", CROSS), ("ring", RING)) for n in range(100)}
    np.savez(tmp_path / "a.npz", images=np.repeat(GREY, 50, 0), labels=np.arange(200) % 2)
    for path in (on_disk(tmp_path / "set", files), zipped(tmp_path / "set.zip", files), tmp_path / "a.npz"):
        told: list[tuple[int, int]] = []
        read_dataset(path, (1, 8, 8), lambda done, of, told=told: told.append((done, of)))
        assert told[-1] == (200, 200)
        assert [done for done, _ in told] == sorted({done for done, _ in told})

        def enough(done: int, of: int) -> None:
            raise RuntimeError("enough")

        with pytest.raises(RuntimeError, match="enough"):
            read_dataset(path, (1, 8, 8), enough)


# --- npz


def test_npz_with_names(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=GREY, labels=np.array([2, 1, 0, -1]), classes=np.array(["ring", "neither", "cross"]))
    found = read_dataset(path, SHAPE)
    assert found.classes == ("ring", "cross")
    assert found.labels.tolist() == [1, -1, 0, -1]


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ([0, 1, 0, -1], ("X", "O"), [0, 1, 0, -1]),
        ([0, 1, 2, -1], ("0", "1", "2"), [0, 1, 2, -1]),
        ([1, 2, 1, 2], ("1", "2"), [0, 1, 0, 1]),
        ([7, 3, 10, -1], ("3", "7", "10"), [1, 0, 2, -1]),
    ],
)
def test_npz_without_names(
    tmp_path: Path, labels: list[int], classes: tuple[str, ...], expected: list[int]
) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=np.array(labels))
    found = read_dataset(tmp_path / "a.npz", SHAPE)
    assert found.classes == classes
    assert found.labels.tolist() == expected


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, 1, 1, -1], "has pictures of one class only, O;"),
        ([3, 3, 3, -1], "has pictures of one class only, 3;"),
        ([-1, -1, -1, -1], "has pictures of no class;"),
        ([0, 1, 2], "has 3 labels for 4 images"),
    ],
)
def test_npz_that_is_no_data_set(tmp_path: Path, labels: list[int], words: str) -> None:
    np.savez(tmp_path / "a.npz", images=GREY, labels=np.array(labels))
    assert words in refused(tmp_path / "a.npz")


def test_npz_without_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=GREY)
    assert "has no array called labels" in refused(tmp_path / "a.npz")


def test_more_labels_than_classes_can_be(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.repeat(GREY, 251, 0), labels=np.arange(1_004))
    assert "has 1,004 different labels; use at most 1,000" in refused(tmp_path / "a.npz")


def test_many_small_pictures_are_not_fitted_beyond_the_limit(tmp_path: Path) -> None:
    """A megabyte of dots would become a terabyte of large pictures."""
    np.savez(tmp_path / "a.npz", images=np.zeros((1 << 20, 1, 1), np.uint8), labels=np.arange(1 << 20) % 2)
    assert "take more than the 1,024 MiB" in refused(tmp_path / "a.npz", (1, 512, 512))


# --- IDX


@pytest.mark.parametrize("packed", [False, True])
def test_idx_by_its_images_or_its_folder(tmp_path: Path, packed: bool) -> None:
    images = write_idx(tmp_path / "set", [7, 3, 7, 10], packed=packed)
    for path in (images, images.parent):
        found = read_dataset(path, SHAPE)
        assert found.classes == ("3", "7", "10")
        assert found.labels.tolist() == [1, 0, 1, 2]
        assert np.array_equal(found.images[:, 0], INK)


def test_of_several_sets_the_one_to_train_on(tmp_path: Path) -> None:
    write_idx(tmp_path / "set", [0, 1, 0, 1], "t10k")
    for packed in (False, True):  # both, as some programs leave them
        write_idx(tmp_path / "set", [5, 6, 5, 6], "train", packed)
    assert read_dataset(tmp_path / "set", SHAPE).classes == ("5", "6")
    write_idx(tmp_path / "other", [0, 1, 0, 1], "a")
    write_idx(tmp_path / "other", [0, 1, 0, 1], "b")
    assert "holds several data sets, a-images-idx3-ubyte and b-images-idx3-ubyte;" in refused(tmp_path / "other")


def test_files_that_are_only_called_like_idx_hide_no_folders(tmp_path: Path) -> None:
    path = on_disk(tmp_path / "set", {**TWO, "images.txt": b"1 a.png", "labels.txt": b"1 2", "images": b""})
    assert read_dataset(path, SHAPE).classes == ("cross", "ring")


def test_idx_without_its_labels(tmp_path: Path) -> None:
    images = write_idx(tmp_path / "set", [0, 1, 0, 1])
    labels = tmp_path / "set/train-labels-idx1-ubyte"
    assert "needs its labels beside it" in refused(labels)
    labels.unlink()
    assert "needs its labels beside it" in refused(images)
    assert "holds no data set" in refused(tmp_path / "set")


def test_pictures_and_labels_that_do_not_belong_together(tmp_path: Path) -> None:
    images = write_idx(tmp_path / "set", [0, 1, 0])
    labels = tmp_path / "set/train-labels-idx1-ubyte"
    assert "has 3 labels for 4 images" in error_sentence(labels, lambda: read_dataset(images, SHAPE))


# --- the rest


@pytest.mark.parametrize("name", ["a.png", "a.safetensors", "a", "a.tar.gz"])
def test_what_is_no_data_set(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"hello") if name.endswith(".gz") else CROSS)
    assert "is not a data set that can be read; use a folder" in refused(tmp_path / name)


def test_missing_and_empty(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "missing")
    (tmp_path / "empty").touch()
    assert "is empty" in refused(tmp_path / "empty")
    (tmp_path / "folder").mkdir()
    assert "holds no data set" in refused(tmp_path / "folder")


LISTEN = f"from engine.data import {read_dataset.__name__} as read_files"
LISTEN += """
import json, sys
from pathlib import Path
paths, heard, listening = [Path(path) for path in sys.argv[1:]], [], False

def read(path):
    try:
        read_files(path, (1, 8, 8))
    except ValueError:
        pass

# Libraries load a part of themselves when it is first used; what a file can bring about comes after.
for path in paths:
    read(path)
sys.addaudithook(lambda event, _: heard.append(event) if listening else None)
listening = True
for path in paths:
    read(path)
listening = False
print(json.dumps(heard))
"""
STARTS_SOMETHING = ("import", "exec", "subprocess", "socket", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
                    "os.fork", "os.startfile", "pickle", "marshal", "ctypes", "urllib", "os.putenv")  # fmt: skip


def test_reading_starts_and_loads_nothing(tmp_path: Path) -> None:
    kinds = ("PNG", "BMP", "JPEG", "GIF", "TIFF", "PPM")
    files = dict(TWO)
    for number, kind in enumerate(kinds):
        image = tmp_path / f"{number}.{kind.lower()}"
        Image.fromarray(GREY[0]).save(image, kind)
        files[f"cross/{image.name}".replace(".tiff", ".tif")] = image.read_bytes()
    broken = {name: data[: len(data) // 2] for name, data in files.items() if data}
    np.savez(tmp_path / "good.npz", images=GREY, labels=np.array([0, 1, 0, 1]), classes=np.array(["a", "b"]))
    np.savez(tmp_path / "bad.npz", images=np.array([[[print]]], object), labels=np.array([print], object))
    paths = [
        on_disk(tmp_path / "set", files),
        on_disk(tmp_path / "broken", {**TWO, **broken}),
        zipped(tmp_path / "set.zip", files),
        zipped(tmp_path / "broken.zip", {**TWO, **broken}),
        tmp_path / "good.npz",
        tmp_path / "bad.npz",
        write_idx(tmp_path / "idx", [0, 1, 0, 1]),
        write_idx(tmp_path / "packed", [0, 1, 0, 1], packed=True),
    ]
    command = [sys.executable, "-c", LISTEN, *map(str, paths)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    heard = json.loads(result.stdout)
    assert "open" in heard
    assert not [event for event in heard if event.startswith(STARTS_SOMETHING)]
