"""Zip archives as data sets: malformed and malicious archives."""

from __future__ import annotations

import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from engine.data import read_dataset
from tests.engine.data.test_folders import CROSS, TWO, zipped
from tests.engine.refusal import error_sentence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return zipped(tmp_path / "set.zip", TWO)


def refused(path: Path) -> str:
    return error_sentence(path, lambda: read_dataset(path, (1, 9, 9)))


@pytest.mark.parametrize(
    "name",
    ["../a.png", "/cross/a.png", "cross/../../a.png", "..\\a.png", "\\a.png", "C:\\a.png", "C:/a.png", "a//b.png"],
)
def test_names_that_lead_out(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        entry = zipfile.ZipInfo("placeholder")
        entry.filename = name
        archive.writestr(entry, CROSS)
    assert "not safe to open" in refused(path)


@pytest.mark.parametrize("start", ["./", ""])
@pytest.mark.parametrize("separator", ["/", "\\"])
def test_names_as_other_programs_write_them(path: Path, start: str, separator: str) -> None:
    """Windows PowerShell writes backslashes, `zip -r x.zip ./` and tar begin names with "./"."""
    expected = read_dataset(path, (1, 9, 9))
    names = {f"{start}{name}".replace("/", separator): data for name, data in TWO.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for folder in (start, f"{start}cross/", f"{start}ring/"):
            if folder:
                archive.writestr(named(folder.replace("/", separator)), b"")
        for name, data in names.items():
            archive.writestr(named(name), data or b"")
    assert read_dataset(path, (1, 9, 9)).digest == expected.digest


def named(name: str) -> zipfile.ZipInfo:
    """An entry with this very name, which Python would change on Windows."""
    entry = zipfile.ZipInfo("placeholder")
    entry.filename = name
    return entry


def test_one_file_under_two_spellings(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(named(".\\cross\\a.png"), CROSS)
    assert "twice" in refused(path)


def test_a_name_given_twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cross/a.png", CROSS)
    assert "holds cross/a.png twice" in refused(path)


def test_packed_otherwise(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cross/b.png", CROSS)
    assert "packed in a way that is not read" in refused(path)


def test_locked(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is locked with a password" in refused(path)


def test_a_wrong_sum(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 16] ^= 1
    path.write_bytes(data)
    assert refused(path).startswith("/cross/a.png")


def test_no_archive(path: Path) -> None:
    for data in (b"hello", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(data)
        assert "is not a zip archive, or is damaged" in refused(path)
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    assert "holds no data set" in refused(path)


def test_cut_short_anywhere(path: Path) -> None:
    data = path.read_bytes()
    for length in range(0, len(data), 5):
        path.write_bytes(data[:length])
        refused(path)


MEASURE = f"from engine.data import {read_dataset.__name__} as read"
MEASURE += """
import resource, sys, time
from pathlib import Path
read(Path(sys.argv[1]), (1, 9, 9))
for path in sys.argv[2:]:
    peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try: read(Path(path), (1, 9, 9)); sentence = "opened"
    except ValueError as error: sentence = str(error)
    seconds = time.process_time() - begun
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    print(seconds, grown, sentence, sep="\\t")
"""


def test_a_picture_that_is_too_large(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.data.folders.PICTURE_LIMIT", len(CROSS) - 1)
    assert "holds cross/a.png, which unpacks to more than" in refused(path)
    monkeypatch.setattr("engine.data.folders.PICTURE_LIMIT", 1 << 20)
    assert len(read_dataset(path, (1, 9, 9))) == 2


def test_pictures_that_are_many_times_their_archive(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cross/b.png", CROSS + bytes(1 << 20))
    assert len(read_dataset(path, (1, 9, 9))) == 3
    monkeypatch.setattr("engine.data.folders._ALWAYS_READ", 1 << 20)
    assert "claims to unpack to 1 MiB, more than is safe" in refused(path)


def claiming(data: bytes, size: int) -> bytes:
    """An archive whose last file claims to unpack to this many bytes."""
    crafted = bytearray(data)
    at = crafted.rindex(b"PK\x01\x02") + 24
    crafted[at : at + 4] = struct.pack("<I", size)
    return bytes(crafted)


def of_empty_entries(count: int) -> bytes:
    """A directory of nameless entries; it says that it has a single one."""
    entry = b"PK\x01\x02" + bytes(42)
    return entry * count + b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, len(entry) * count, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is counted in other units")
def test_bombs_are_refused_fast_and_small(path: Path, tmp_path: Path) -> None:
    zeros = bytes(60 << 20)
    bombs = {
        "one large.zip": zipped(tmp_path / "one large.zip", {**TWO, "ring/b.png": zeros}).read_bytes(),
        "many.zip": zipped(
            tmp_path / "many.zip", {**TWO, **{f"ring/{n}.bmp": zeros[: 20 << 20] for n in range(4)}}
        ).read_bytes(),
        "4 GiB.zip": claiming(path.read_bytes(), 0xFFFFFFFE),
        "900 MB.zip": claiming(path.read_bytes(), 900_000_000),
        "20 MB.zip": claiming(path.read_bytes(), 20_000_000),
        "deep.zip": zipped(tmp_path / "deep.zip", {**TWO, "d/" * 16_000 + "a.png": CROSS}).read_bytes(),
        "many entries.zip": of_empty_entries(400_000),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in bombs]
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), *paths], capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) == len(bombs)
    for name, line in zip(bombs, lines, strict=True):
        seconds, grown, sentence = line.split("\t")
        assert sentence.startswith(str(tmp_path / name)), line
        assert float(seconds) < 0.2, line
        assert int(grown) < 50 * 1024, line
