"""Image folders as data sets: classes, ignored files, and errors for unreadable pictures."""

from __future__ import annotations

import io
import os
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from PIL import Image

from engine.data import Dataset, read_dataset
from engine.data.xo import ARTICLE_PICTURES
from tests.engine.refusal import error_sentence

SHAPE = (1, 9, 9)
# Files by their place below the folder; None is a folder without anything in it.
Files: TypeAlias = "dict[str, bytes | None]"
Layout: TypeAlias = "Callable[[Files], Path]"


def picture(name: str, kind: str = "PNG", *, dark: bool = True) -> bytes:
    ink = ARTICLE_PICTURES[name]
    whole = io.BytesIO()
    grey = ((1 - ink if dark else 1 + ink) / 2 * 255).astype(np.uint8)
    Image.fromarray(grey).save(whole, kind)
    return whole.getvalue()


CROSS, RING = picture("X"), picture("O")
TWO: Files = {"cross/a.png": CROSS, "ring/a.png": RING}


def on_disk(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        path = folder / name
        (path if data is None else path.parent).mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)
    return folder


def zipped(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(f"{name}/" if data is None else name, data or b"")
    return path


@pytest.fixture(params=["folder", "zip"])
def laid(request: pytest.FixtureRequest, tmp_path: Path) -> Layout:
    """Writes files to a folder and to a zip archive."""
    if request.param == "folder":
        return lambda files: on_disk(tmp_path / "set", files)
    return lambda files: zipped(tmp_path / "set.zip", files)


def read(path: Path) -> Dataset:
    return read_dataset(path, SHAPE)


def refused(path: Path) -> str:
    return error_sentence(path, lambda: read(path))


def test_classes_are_the_folders_and_pictures_their_files_sorted(laid: Layout) -> None:
    found = read(
        laid({"ring/b.png": RING, "ring/a.png": CROSS, "Cross/z.png": CROSS, "10/1.png": RING, "9/1.png": CROSS})
    )
    assert found.classes == ("10", "9", "Cross", "ring")
    assert found.labels.tolist() == [0, 1, 2, 3, 3]
    expected = [ARTICLE_PICTURES[name] for name in "OXXXO"]
    assert np.array_equal(found.images[:, 0], expected)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM", "WEBP"])
def test_any_picture_dark_or_light(laid: Layout, kind: str) -> None:
    if kind == "WEBP":
        pytest.importorskip("PIL._webp")
    suffix = {"PPM": "pgm"}.get(kind, kind.lower())
    files: Files = {
        f"cross/dark.{suffix}": picture("X", kind),
        f"cross/light.{suffix.upper()}": picture("X", kind, dark=False),
        "ring/a.png": RING,
    }
    found = read(laid(files))
    assert found.classes == ("cross", "ring")
    assert np.abs(found.images[:2, 0] - ARTICLE_PICTURES["X"]).max() < 0.2


def test_what_is_neither_is_no_class(laid: Layout) -> None:
    found = read(laid({**TWO, "Neither/a.png": CROSS, "none/a.png": RING}))
    assert found.classes == ("cross", "ring")
    assert sorted(found.labels.tolist()) == [-1, -1, 0, 1]


def test_what_programs_leave_behind_is_passed_over(laid: Layout) -> None:
    left: Files = {
        ".DS_Store": b"?",
        "Thumbs.db": b"?",
        "readme.txt": b"?",
        "cross/.DS_Store": b"?",
        "cross/Thumbs.db": b"?",
        "cross/desktop.ini": b"?",
        "cross/._a.png": b"?",
        ".git/a.png": b"?",
        "cross/.ipynb_checkpoints/a.png": CROSS,
        "__MACOSX/cross/a.png": b"?",
        "loose.png": CROSS,
    }
    found = read(laid({**TWO, **left}))
    assert found.classes == ("cross", "ring")
    assert found.labels.tolist() == [0, 1]


def test_pictures_at_any_depth_are_of_the_folder_at_the_top(laid: Layout) -> None:
    found = read(laid({**TWO, "cross/2019/may/b.png": CROSS, "ring/more/c.png": RING}))
    assert found.classes == ("cross", "ring")
    assert found.labels.tolist() == [0, 0, 1, 1]


def test_a_folder_around_everything_stands_for_what_is_in_it(laid: Layout) -> None:
    found = read(laid({f"set/data/{name}": data for name, data in TWO.items()}))
    assert found.classes == ("cross", "ring")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"readme.txt": b"?"}, "holds no data set"),
        ({"cross": None, "ring": None}, "holds no data set"),
        ({"a.png": CROSS, "b.png": RING}, "has pictures, but no folder for each class"),
        ({**TWO, "square": None, "tick/readme.txt": b"?"}, "has no pictures in square and tick;"),
        ({**TWO, **{f"{n}": None for n in range(9)}}, "has no pictures in 0, 1, 2 and 6 more;"),
        ({"cross/a.png": CROSS, "cross/b.png": CROSS}, "has pictures of one class only, cross;"),
        ({"cross/a.png": CROSS, "neither/b.png": CROSS}, "has pictures of one class only, cross;"),
        ({"none/a.png": CROSS, "neither/b.png": CROSS}, "has pictures of no class;"),
        (
            {"train/cross/a.png": CROSS, "train/ring/a.png": RING, "test/cross/a.png": CROSS},
            "has test and train where",
        ),
        ({"cross/a.png": CROSS, f"{'a' * 101}/a.png": RING}, "give it a short, printable name"),
    ],
)
def test_what_is_no_data_set(laid: Layout, files: Files, words: str) -> None:
    assert words in refused(laid(files))


def test_one_picture_that_cannot_be_read_is_named_with_the_reason(laid: Layout) -> None:
    sentence = refused(laid({**TWO, "ring/b.png": CROSS[:60]}))
    assert sentence.startswith("/ring/b.png is damaged or cut short;")


def test_of_many_that_cannot_be_read_the_first_are_named(laid: Layout) -> None:
    bad = {f"ring/{n}.png": b"nothing" for n in range(1_200)}
    sentence = refused(laid({**TWO, **bad}))
    assert "has 1,200 pictures that cannot be read, ring/0.png, ring/1.png, ring/10.png and 1,197 more;" in sentence
    assert sentence.endswith("repair or remove them.")


def test_a_kind_of_picture_that_is_not_read_is_not_passed_over(laid: Layout) -> None:
    assert "ring/b.heic is not an image that can be read" in refused(laid({**TWO, "ring/b.HEIC".lower(): b"?"}))


def test_more_pictures_than_are_read(laid: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.folders.PICTURES_LIMIT", 2 * 81)
    path = laid(TWO)
    assert len(read(path)) == 2
    monkeypatch.setattr("engine.data.folders.PICTURES_LIMIT", 2 * 81 - 1)
    assert "has 2 pictures, which at 9 × 9 pixels take more than" in refused(path)


def test_more_files_than_are_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.folders.ENTRIES_LIMIT", 5)
    path = on_disk(tmp_path / "set", {**TWO, "cross/readme.txt": b"?"})
    assert len(read(path)) == 2
    (path / "ring/readme.txt").touch()
    assert "has more than the 5 files that are looked through" in refused(path)


# --- links


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with two classes, on a file system with links."""
    path = on_disk(tmp_path / "set", TWO)
    try:
        (path / "cross/link.png").symlink_to(path / "cross/a.png")
    except OSError:
        pytest.skip("links cannot be made here")
    return path


def test_links_to_pictures_and_to_folders_elsewhere_are_followed(linked: Path, tmp_path: Path) -> None:
    elsewhere = on_disk(tmp_path / "elsewhere", {"a.png": CROSS, "more/b.png": CROSS})
    (linked / "third").symlink_to(elsewhere, target_is_directory=True)
    found = read(linked)
    assert found.classes == ("cross", "ring", "third")
    assert found.labels.tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("link", "target", "words"),
    [
        ("cross/loop", ".", "holds itself again as cross/loop;"),
        ("cross/loop", "cross", "holds cross again as cross/loop;"),
        ("loop", ".", "holds itself again as loop;"),
        ("cross/up", "..", "holds itself again as cross/up/set;"),
    ],
)
def test_a_link_in_a_circle_is_named(linked: Path, link: str, target: str, words: str) -> None:
    (linked / link).symlink_to((linked / target).resolve(), target_is_directory=True)
    assert words in refused(linked)


def test_a_folder_under_two_names_is_named(linked: Path) -> None:
    (linked / "crosses").symlink_to(linked / "cross", target_is_directory=True)
    sentence = refused(linked)
    assert "holds cross again as crosses;" in sentence or "holds crosses again as cross;" in sentence


def test_links_that_lead_nowhere(linked: Path) -> None:
    (linked / "cross/gone.png").symlink_to(linked / "gone")
    (linked / "cross/self.png").symlink_to(linked / "cross/self.png")
    assert "has 2 pictures that cannot be read, cross/gone.png and cross/self.png;" in refused(linked)
    (linked / "cross/self.png").unlink()
    assert "cross/gone.png is a link to what does not exist;" in refused(linked)


@pytest.mark.parametrize("link", ["third", "cross/more"])
def test_a_linked_folder_that_is_gone_is_named_and_other_links_do_not_matter(linked: Path, link: str) -> None:
    (linked / "cross/readme.txt").symlink_to(linked / "gone.txt")
    assert len(read(linked)) == 3
    (linked / link).symlink_to(linked / "gone", target_is_directory=True)
    assert f"has a link to what does not exist, {link};" in refused(linked)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes among its files")
def test_a_pipe_is_not_waited_for(linked: Path) -> None:
    os.mkfifo(linked / "cross/pipe.png")
    assert "cross/pipe.png is not an ordinary file" in refused(linked)


@pytest.mark.parametrize("count", [1, 5])
def test_pictures_that_end_early_are_read_and_said_in_one_sentence(laid: Layout, count: int) -> None:
    cut = picture("X", "JPEG")[:-2]
    path = laid({**TWO, **{f"cross/early{number}.jpg": cut for number in range(count)}})
    notes: list[str] = []
    assert len(read_dataset(path, SHAPE, None, notes.append)) == 2 + count
    assert len(notes) == 1
    assert "early0.jpg" in notes[0]
    assert count == 1 or "has 5 pictures that end early" in notes[0]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="nothing is forbidden to this user")
def test_a_folder_that_may_not_be_listed(linked: Path) -> None:
    (linked / "cross").chmod(0)
    try:
        assert "/cross cannot be listed: permission denied;" in refused(linked)
    finally:
        (linked / "cross").chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="names of files have at most 260 letters there")
def test_folders_deeper_than_calls_may_be(linked: Path) -> None:
    """Deeper folders could not be removed after the test, because of Python's recursion limit."""
    deep = linked / "cross"
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    (deep / "a.png").write_bytes(CROSS)
    read(linked)  # what loads when it is first used needs its calls
    limit, now = sys.getrecursionlimit(), sum(1 for _ in traceback.walk_stack(None))
    sys.setrecursionlimit(now + 150)
    try:
        found = read(linked)
    finally:
        sys.setrecursionlimit(limit)
    assert found.labels.tolist() == [0, 0, 0, 1]
