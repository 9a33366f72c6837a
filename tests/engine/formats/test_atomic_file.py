"""Atomic writing, and the limits on reading whole files."""

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.documents import WALKTHROUGH, load_model, save_model
from engine.formats import FileError, checked_size, read_bytes, remove_leftovers, write_atomically
from engine.nn import Model
from tests.conftest import Effort

OLD, NEW = b"the old file", b"the new file" * 1000


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "file"
    for data in (OLD, NEW, b""):
        write_atomically(target, data)
        assert target.read_bytes() == data
        assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_those_of_any_file_or_of_the_old_one(tmp_path: Path) -> None:
    plain, saved = tmp_path / "plain", tmp_path / "saved"
    plain.write_bytes(OLD)
    write_atomically(saved, OLD)
    assert stat.S_IMODE(saved.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    saved.chmod(0o600)
    write_atomically(saved, NEW)
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(OLD)
    link.symlink_to(target)
    write_atomically(link, NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_failure_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(FileError) as raised:
        write_atomically(target, NEW)
    monkeypatch.undo()
    assert str(raised.value).startswith(f"{target} was not saved: ")
    assert "\n" not in str(raised.value)
    assert target.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="the system cannot limit file sizes")
def test_a_disk_that_fills_up_while_writing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    program = (
        "import resource, signal, sys\n"
        "from engine.formats.atomic_file import write_atomically\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try: write_atomically(sys.argv[1], bytes(12000))\n"
        "except ValueError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program, target], capture_output=True, text=True, check=True)
    assert "no room left on the disk" in result.stdout
    assert target.read_bytes() == OLD
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(OLD)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="writing there is not allowed"):
            write_atomically(target, NEW)
    finally:
        tmp_path.chmod(0o700)
    assert target.read_bytes() == OLD


@pytest.mark.parametrize("name", ["missing/file", "folder", "file/below", "nul\0l"])
def test_a_place_that_cannot_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(FileError, match="was not saved"):
        write_atomically(tmp_path / name, NEW)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_what_a_killed_save_left_is_removed_and_what_is_being_saved_is_not(tmp_path: Path) -> None:
    left, other, foreign = ".file.0123456789ab.saving", ".other.0123456789ab.saving", ".file.mine.saving"
    for name in (left, other, foreign):
        (tmp_path / name).write_bytes(NEW)
    write_atomically(tmp_path / "file", OLD)
    assert sorted(os.listdir(tmp_path)) == [foreign, other, "file"]
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [foreign, "file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(FileError, match="was not saved: it is not an ordinary file"):
            write_atomically(tmp_path / name, b"1")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file is kept by the system there")
def test_two_saves_at_once_leave_each_other_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, sync = tmp_path / "file", os.fsync

    def save_meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        sync(descriptor)
        remove_leftovers(tmp_path)
        write_atomically(target, OLD)

    monkeypatch.setattr(os, "fsync", save_meanwhile)
    write_atomically(target, NEW)
    assert os.listdir(tmp_path) == ["file"]
    assert target.read_bytes() == NEW


@pytest.mark.skipif(not hasattr(os, "SEEK_HOLE"), reason="the system does not tell holes")
def test_a_file_of_holes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"", b"x" * 5000):
        path.write_bytes(data)
        os.truncate(path, 1 << 30)
        with pytest.raises(FileError, match="mostly holes"):
            checked_size(path, 1 << 30)
    with open(path, "r+b") as file:  # and something at its very end
        file.seek((1 << 30) - 5000)
        file.write(b"x" * 5000)
    with pytest.raises(FileError, match="mostly holes"):
        checked_size(path, 1 << 30)
    path.write_bytes(bytes(3 << 20))
    assert checked_size(path, 1 << 30) == 3 << 20


SAVES_FOR_EVER = f"from engine.nn.model import {Model.__name__} as Model"
SAVES_FOR_EVER += """
import sys
from engine.documents.presets import WALKTHROUGH
from engine.documents.model_file import save_model
subjects = [Model(f"number {n}", WALKTHROUGH.network, WALKTHROUGH.network.initial_parameters(n)) for n in (0, 1)]
save_model(sys.argv[1], subjects[0])
print("saving", flush=True)
while True:
    for subject in subjects:
        save_model(sys.argv[1], subject)
"""


def test_killed_while_saving(tmp_path: Path, effort: Effort) -> None:
    """The file is complete whenever the process is killed."""
    target, rng = tmp_path / "model.safetensors", random.Random(5)
    whole = []
    for n in (0, 1):
        save_model(target, Model(f"number {n}", WALKTHROUGH.network, WALKTHROUGH.network.initial_parameters(n)))
        whole.append(target.read_bytes())
    kills = 0
    while kills < effort(40, 200):
        # A few children at once: most of the time goes into starting them.
        folders = [tmp_path / str(kills + n) for n in range(4)]
        for folder in folders:
            folder.mkdir()
        children = [
            subprocess.Popen(
                [sys.executable, "-c", SAVES_FOR_EVER, folder / "model.safetensors"], stdout=subprocess.PIPE
            )
            for folder in folders
        ]
        for child, folder in zip(children, folders, strict=True):
            assert child.stdout is not None
            assert child.stdout.readline() == b"saving\n"
            time.sleep(rng.random() * 0.02)
            child.kill()
            child.wait()
            child.stdout.close()
            saved = folder / "model.safetensors"
            assert saved.read_bytes() in whole
            assert load_model(saved).name in ("number 0", "number 1")
            kills += 1


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(100))
    assert read_bytes(file, 100) == bytes(100)
    with pytest.raises(FileError, match="more than the"):
        read_bytes(file, 99)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "does not exist"),
        ("folder", "is a folder"),
        ("empty", "is empty"),
        ("pipe", "not an ordinary file"),
    ],
)
def test_what_is_no_file(tmp_path: Path, name: str, words: str) -> None:
    if name == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("the system has no named pipes")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match=words) as raised:
        read_bytes(tmp_path / name, 100)
    assert str(tmp_path / name) in str(raised.value)


def test_a_name_with_a_line_break_stays_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileError) as raised:
        read_bytes(tmp_path / "two\nlines", 100)
    assert "\n" not in str(raised.value)
    assert np.isin(list("two"), list(str(raised.value))).all()
