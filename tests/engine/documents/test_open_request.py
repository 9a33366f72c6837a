"""Opening files: a model, a picture or a project opens; anything else is named in a sentence."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from engine.data import PoolSettings
from engine.data.xo import XOSettings
from engine.documents import (
    Document,
    OpenRequest,
    ProjectState,
    load_model,
    open_file,
    save_model,
    save_project,
)
from engine.drawings import Drawing
from engine.formats import FileError
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from engine.training import TrainingConfig
from tests.samples import DRAWINGS, drawing_sample

COULD_NOT = {
    "colour": ((3, 16, 16), "a drawing is one square map"),
    "wide": ((1, 16, 24), "a drawing is one square map"),
    "narrow": ((1, 24, 16), "a drawing is one square map"),
    "tiny": ((1, 1, 1), "4 × 4"),
    "three": ((1, 3, 3), "4 × 4"),
    "huge": ((1, 1025, 1025), "1,024 × 1,024"),
}


def model_of(shape: tuple[int, int, int]) -> Model:
    network = Network(shape, (Flatten(), Dense(2)), classes=("X", "O"))
    return Model("Odd", network, network.initial_parameters(1))


def error_of(path: Path) -> str:
    opened = open_file(OpenRequest(1, path, DRAWINGS))
    assert opened.content is None
    assert "\n" not in opened.error
    return opened.error


@pytest.mark.parametrize("name", COULD_NOT)
def test_a_network_that_reads_no_drawing_is_refused_wherever_it_is_opened(name: str, tmp_path: Path) -> None:
    shape, reason = COULD_NOT[name]
    path, session = tmp_path / "odd.safetensors", tmp_path / "odd.session"
    save_model(path, model_of(shape))
    assert reason in error_of(path)
    for models in ((model_of(shape),), (model_of((1, 8, 8)), model_of(shape))):
        document = Document(drawing_sample(Drawing()), models)
        save_project(
            session, ProjectState(document, TrainingConfig(), PoolSettings(XOSettings()), saved_at=time.time())
        )
        assert reason in error_of(session)


def test_the_smallest_network_that_reads_a_drawing_opens(tmp_path: Path) -> None:
    path = tmp_path / "four.safetensors"
    save_model(path, model_of((1, 4, 4)))
    assert isinstance(open_file(OpenRequest(1, path, DRAWINGS)).content, Model)


@pytest.mark.parametrize(
    ("name", "data", "program"),
    [
        ("net.onnx", b"\x08\x08\x12\x07pytorch" + bytes(99), "ONNX"),
        ("net.pt", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99), "PyTorch"),
        ("net.bin", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99), "PyTorch"),
        ("net.pth", b"\x80\x02\x8a\x0al\xfc" + bytes(99), "pickle"),
        ("net.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), "Keras"),
        ("net.tflite", b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
        ("net.safetensors", b"\x08\x08\x12\x07pytorch" + bytes(99), ""),
        ("onnx.safetensors", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl" + bytes(99), "PyTorch"),
    ],
)
def test_a_network_of_another_program_is_named(name: str, data: bytes, program: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    if not program:
        assert "is not a safetensors file" in error_of(path)
        return
    assert f"is a network of another program, {program}" in error_of(path).replace("Python (pickle)", "pickle")
    assert "fetch it again" not in error_of(path)
    with pytest.raises(FileError, match="of another program"):
        load_model(path)


def test_a_data_set_is_named_with_the_command_that_reads_it(tmp_path: Path) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    assert f"xo train --data '{folder}'" in error_of(folder)
    assert f"xo classify '{folder}'" in error_of(folder)
    np.savez(tmp_path / "set.npz", images=np.zeros((2, 8, 8)))
    assert f"xo train --data {tmp_path / 'set.npz'}" in error_of(tmp_path / "set.npz")
    for name in ("set.zip", "digits.idx3-ubyte"):
        (tmp_path / name).write_bytes(b"PK\3\4" if name == "set.zip" else bytes([0, 0, 8, 3, *bytes(20)]))
        assert f"xo train --data {tmp_path / name}" in error_of(tmp_path / name)
    for name in ("table.csv", "data.npy", "set.tar"):
        (tmp_path / name).write_bytes(b"label,pixel0\n")
        assert "xo train --data" in error_of(tmp_path / name)
    (tmp_path / "run.checkpoint").write_bytes(b"?")
    assert "xo train --resume" in error_of(tmp_path / "run.checkpoint")
