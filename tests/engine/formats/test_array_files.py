"""npz files of pictures: conversion to ink, and error messages."""

import io
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from engine.formats import FileError, npz_bytes, read_npz

INK = np.where(np.random.default_rng(4).random((5, 6, 7)) < 0.2, np.float32(1), np.float32(-1))
INK[:, [0, -1]] = INK[:, :, [0, -1]] = -1
GREY = ((INK + 1) / 2 * 255).astype(np.uint8)


def packed(members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", packing) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return whole.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    whole = io.BytesIO()
    npy.write_array(whole, array, allow_pickle=False)
    return whole.getvalue()


def claimed_npy(shape: str, descr: str = "'|u1'", body: bytes = b"") -> bytes:
    """An npy file with an arbitrary header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + body


def refused(path: Path, data: bytes | None = None) -> str:
    """The error message for a file, without its path."""
    if data is not None:
        path.write_bytes(data)
    begun = time.process_time()
    with pytest.raises(FileError) as raised:
        read_npz(path)
    assert time.process_time() - begun < 1
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.removeprefix(str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "images",
    [
        GREY,
        255 - GREY,
        GREY // 255,
        GREY > 0,
        INK,
        -INK.astype(np.float64),
        (INK + 1) / 2,
        INK.astype(np.int8),
        GREY.astype(np.int64),
        GREY.astype(np.uint16) * 257,
        GREY.astype(">f4"),
        np.asfortranarray(GREY),
    ],
)
def test_pictures_come_out_as_ink(path: Path, save: Any, images: np.ndarray) -> None:
    save(path, images=images, labels=np.array([0, 1, 1, 0, -1]))
    found = read_npz(path)
    assert found.pictures.dtype == np.float32
    assert np.array_equal(found.pictures, INK)
    assert found.labels is not None
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [0, 1, 1, 0, -1]
    assert found.classes is None


@pytest.mark.parametrize("chunk", [1, 100, 1 << 20])
def test_each_picture_by_itself(path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For every chunk size."""
    monkeypatch.setattr("engine.formats.array_files._CHUNK", chunk)
    mixed = GREY.copy()
    mixed[1::2] = 255 - mixed[1::2]
    np.savez(path, images=mixed)
    found = read_npz(path)
    assert np.array_equal(found.pictures, INK)
    assert found.labels is None


@pytest.mark.parametrize("labels", [np.array([0, 1, 1, 0, 1], np.uint8), np.array([0.0, 1, 1, 0, 1])])
def test_labels_of_other_types(path: Path, labels: np.ndarray) -> None:
    np.savez(path, images=GREY, labels=labels)
    found = read_npz(path).labels
    assert found is not None
    assert found.tolist() == [0, 1, 1, 0, 1]


def test_classes_have_names(path: Path) -> None:
    """Classes called "neither" or "none" become the label -1."""
    names = np.array(["triangle", "None", "Kreuz ✗", "neither"])
    for stored in (names, names.astype(">U8")):
        np.savez(path, images=GREY, labels=np.array([0, 1, 2, 3, -1]), classes=stored)
        found = read_npz(path)
        assert found.labels is not None
        assert found.classes == ("triangle", "Kreuz ✗")
        assert found.labels.tolist() == [0, -1, 1, -1, -1]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (np.array(["X"]), "has the label 1, but names only 1 classes"),
        (np.array(["X", "X"]), "two classes of the same name"),
        (np.array(["X", " "]), "has a class called ' '"),
        (np.array(["X", "a\nb"]), "has a class called 'a\\nb'"),
        (np.array(["X", "a" * 101]), "give it a short, printable name"),
        (np.array([f"{place}" for place in range(1001)]), "has 1,001 classes"),
        (np.array([["X", "O"]]), "must be (K,), names as text"),
        (np.array([0, 1]), "must be (K,), names as text"),
        (np.array(["X", "O"], object), "must be (K,), names as text"),
        (np.array([b"X", b"O"]), "must be (K,), names as text"),
    ],
)
def test_names_that_nobody_can_tell_apart(path: Path, names: np.ndarray, words: str) -> None:
    np.savez(path, images=GREY, labels=np.array([0, 1, 1, 0, 1]), classes=names)
    assert words in refused(path)


@pytest.mark.parametrize(
    ("shape", "descr", "body"),
    [
        ("(1000,)", "'<U1000000'", bytes(8)),
        ("(2,)", "'<U99999999'", bytes(8)),
        ("(2,)", "'<U0'", b""),
        ("(2,)", "'<U1'", b"\xff" * 8),
        ("(2,)", "'<U1'", bytes(12)),
    ],
)
def test_names_that_lie(path: Path, shape: str, descr: str, body: bytes) -> None:
    members = {"images.npy": npy_bytes(GREY), "labels.npy": npy_bytes(np.array([0, 1, 1, 0, 1]))}
    refused(path, packed({**members, "classes.npy": claimed_npy(shape, descr, body)}))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"pictures": GREY}, "has no array called images"),
        ({"images": GREY[0]}, "they must be (N, H, W)"),
        ({"images": GREY[..., None]}, "they must be (N, H, W)"),
        ({"images": GREY[:0]}, "not empty"),
        ({"images": GREY.astype(complex)}, "integers, real numbers or booleans"),
        ({"images": GREY.astype(str)}, "integers, real numbers or booleans"),
        ({"images": GREY.astype("M8[s]")}, "integers, real numbers or booleans"),
        ({"images": GREY.astype(np.longdouble)}, "integers, real numbers or booleans"),
        ({"images": np.where(INK > 0, np.nan, INK)}, "not finite"),
        ({"images": np.where(INK > 0, np.inf, INK)}, "not finite"),
        ({"images": INK * 3}, "values from -3 to 3"),
        ({"images": INK * 1e6}, "values from -1e+06 to 1e+06"),
        ({"images": GREY, "labels": np.zeros(4)}, "4 labels for 5 images"),
        ({"images": GREY, "labels": np.full(5, 0.5)}, "not integers"),
        ({"images": GREY, "labels": np.full(5, np.nan)}, "not integers"),
        ({"images": GREY, "labels": np.full(5, -2)}, "not integers"),
        ({"images": GREY, "labels": np.array(list("XOXOX"))}, "holds labels as"),
        ({"images": GREY, "labels": np.zeros((5, 1))}, "they must be (N,)"),
    ],
)
def test_arrays_that_are_no_pictures(path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(path, **arrays)
    assert words in refused(path)


def test_no_objects_are_unpickled(path: Path) -> None:
    """Arrays of objects and pickles are refused; unpickling would leave a file."""
    mark = path.with_name("mark")

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(mark), "w"))

    np.savez(path, images=np.array([[[Trap()]]], dtype=object))
    assert "integers, real numbers or booleans" in refused(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ["../images.npy", "/images.npy", "a/b.npy", "a\\b.npy", "C:x.npy", "..", "x\n.npy"]
)
def test_names_like_paths(path: Path, name: str) -> None:
    assert "looks like a path" in refused(path, packed({"images.npy": npy_bytes(GREY), name: b"x"}))


def test_names_given_twice(path: Path) -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("images.npy", npy_bytes(GREY))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("images.npy", npy_bytes(GREY))
    assert "two arrays of the same name" in refused(path, whole.getvalue())


@pytest.mark.parametrize(
    "shape",
    ["(1000000, 1000000, 1000000)", "(1, 20000, 20000)", "(-1, 9, 9)", "(True, 9, 9)", "(10**9,)", "(9.0, 9, 9)",
     "9", "(" * 150 + ")" * 150, "(1, 9, " + "-" * 5000 + "9)", "(1, 9, 9"],
)  # fmt: skip
def test_shapes_that_lie(path: Path, shape: str) -> None:
    refused(path, packed({"images.npy": claimed_npy(shape, body=bytes(81))}))


@pytest.mark.parametrize(
    "descr", ["'|O'", "'|V9'", "[('a', '<f4')]", "'<U99999999'", "'nonsense'", "5", "('<f4', (9,))"]
)
def test_types_that_lie(path: Path, descr: str) -> None:
    refused(path, packed({"images.npy": claimed_npy("(1, 9, 9)", descr, bytes(81 * 4))}))


@pytest.mark.parametrize("length", [80, 82])
def test_bytes_that_do_not_agree(path: Path, length: int) -> None:
    data = packed({"images.npy": claimed_npy("(1, 9, 9)", body=bytes(length))})
    assert "does not agree with its bytes" in refused(path, data)


def test_a_member_of_zeros_beyond_the_limit(path: Path) -> None:
    """1.1 GiB in 1.1 MB, written in parts to save memory."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(11):
            member.write(bytes(100 << 20))
    begun = time.process_time()
    assert "unpacks to more than the 1,024 MiB" in refused(path)
    assert time.process_time() - begun < 0.2


def test_more_values_than_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes and booleans take four times their size as pictures."""
    np.savez(path, images=GREY)
    monkeypatch.setattr("engine.formats.array_files.PICTURES_LIMIT", GREY.size - 1)
    assert "more than the 209 values that are read" in refused(path)
    monkeypatch.setattr("engine.formats.array_files.PICTURES_LIMIT", GREY.size)
    assert read_npz(path).pictures.shape == GREY.shape


@pytest.mark.parametrize("claim", [0xFFFFFFFE, 900_000_000, 1_000_000])
def test_a_member_that_claims_to_unpack_large(path: Path, claim: int) -> None:
    data = bytearray(packed({"images.npy": npy_bytes(GREY)}, zipfile.ZIP_DEFLATED))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", claim)
    refused(path, bytes(data))


def test_a_header_nested_too_deeply(path: Path) -> None:
    for depth in (100, 500, 5000):
        header = claimed_npy("(" * depth)
        assert "header cannot be read" in refused(path, packed({"images.npy": header}))


def test_more_members_than_are_read(path: Path) -> None:
    assert "more than the 10,000 arrays" in refused(path, packed({f"{n}.npy": b"" for n in range(10_001)}))


def test_wrong_sum(path: Path) -> None:
    data = bytearray(packed({"images.npy": npy_bytes(GREY)}))
    data[data.index(b"\x93NUMPY") + 200] ^= 1
    assert "damaged" in refused(path, bytes(data))


def test_packed_otherwise(path: Path) -> None:
    assert "packed in a way" in refused(path, packed({"images.npy": npy_bytes(GREY)}, zipfile.ZIP_LZMA))


def test_not_an_npz(path: Path) -> None:
    for data in (b"hello", npy_bytes(GREY), b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(100)):
        refused(path, data)
    refused(path.with_name("missing.npz"))


def test_cut_short_anywhere(path: Path) -> None:
    np.savez_compressed(path, images=GREY, labels=np.zeros(5, int))
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        refused(path, data[:length])


def test_written_arrays_come_back_in_order_and_with_the_same_bytes(path: Path) -> None:
    arrays = {"00-input": INK[0], "01-conv2d": np.arange(6.0).reshape(1, 2, 3), "02-votes": np.ones(2, np.float32)}
    data = npz_bytes(arrays)
    assert data == npz_bytes(arrays)
    path.write_bytes(data)
    with np.load(path) as back:
        assert list(back) == list(arrays)
        for name, array in arrays.items():
            assert np.array_equal(back[name], array)
            assert back[name].dtype == array.dtype


def test_nothing_written_tells_the_time(path: Path) -> None:
    path.write_bytes(npz_bytes({"a": GREY}))
    with zipfile.ZipFile(path) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("name", ["../a", "a/b", "a\\b", "a:b"])
def test_no_names_like_paths_are_written(name: str) -> None:
    with pytest.raises(ValueError, match="cannot hold an array"):
        npz_bytes({name: GREY})
