"""Model files: round trips and error messages."""

import json
import math
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from engine.backends import choose_backend
from engine.bench.cases import LAYER_CASES, case_id, network_around, random_parameters
from engine.data.xo import XOSettings, generate_dataset
from engine.documents import DEFAULT, WALKTHROUGH, load_model, save_model, shipped_model
from engine.documents.presets import HANUSCHKIN, Preset
from engine.formats import FileError
from engine.nn import BatchPredictor, Model, Network
from engine.nn.layers import BatchNorm2D, Center, Conv2D, Dense, Flatten, Layer, Shape

KEY = "xo-gui"
# Two of its layers hold values that are not learnt, which a file carries too.
GATHERING = Network((1, 6, 6), (Center(), Conv2D(2), BatchNorm2D(), Flatten(), Dense(2)), classes=("X", "O"))


@pytest.fixture
def model() -> Model:
    origin = {"seed": 3, "command": "xo train", "held_out": {"accuracy": 0.99}}
    return Model("Mine — 1", WALKTHROUGH.network, WALKTHROUGH.network.initial_parameters(3), 0.75, origin)


@pytest.fixture
def path(tmp_path: Path, model: Model) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    return path


def refused(path: Path) -> str:
    """The error message for a file, without its path."""
    begun = time.process_time()
    with pytest.raises(FileError) as raised:
        load_model(path)
    assert time.process_time() - begun < 1
    sentence = str(raised.value)
    assert sentence.startswith(str(path))
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence.removeprefix(str(path))


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the description in the header."""
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    description = json.loads(header["__metadata__"][KEY])
    change(description)
    path.write_bytes(save(load(data), {KEY: json.dumps(description)}))


def with_header(header: bytes, body: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + body


@pytest.mark.parametrize("network", [WALKTHROUGH.network, DEFAULT.network, GATHERING])
@pytest.mark.parametrize("threshold", [None, 0.0, 0.915, 1.0])
def test_comes_back_as_it_was(tmp_path: Path, network: Network, threshold: float | None) -> None:
    model = Model("Net ×", network, network.initial_parameters(1), threshold, {"a": [1, None, {"b": "c"}]})
    save_model(tmp_path / "m", model)
    back = load_model(tmp_path / "m")
    assert (back.name, back.network, back.threshold, back.origin) == ("Net ×", network, threshold, model.origin)
    assert back.parameters.keys() == model.parameters.keys()
    for name, values in model.parameters.items():
        assert back.parameters[name].tobytes() == values.tobytes()
        assert back.parameters[name].dtype == np.float32
        assert not back.parameters[name].flags.writeable


@pytest.mark.parametrize("case", LAYER_CASES, ids=case_id)
def test_every_layer_comes_back_with_all_that_it_learnt_and_gathered(
    tmp_path: Path, case: tuple[Layer, Shape]
) -> None:
    network = network_around(*case)
    values = random_parameters(network, np.random.default_rng(1))
    model = Model("Any", network, {name: value.astype(np.float32) for name, value in values.items()})
    save_model(tmp_path / "m", model)
    back = load_model(tmp_path / "m")
    assert back.network == network
    assert back.parameters.keys() == model.parameters.keys()
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], value)


def test_a_variance_below_0_is_damage(tmp_path: Path) -> None:
    network = Network((1, 3, 3), (BatchNorm2D(), Flatten(), Dense(2)), classes=("X", "O"))
    save_model(tmp_path / "m", Model("Any", network, network.initial_parameters(1)))
    data = bytearray((tmp_path / "m").read_bytes())
    tensors = load(bytes(data))
    described = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors["batchnorm2d-1.variance"] = np.array([-1], np.float32)
    (tmp_path / "m").write_bytes(save(tensors, described))
    assert "batchnorm2d-1.variance holds values below 0" in refused(tmp_path / "m")


def test_same_subject_same_bytes(path: Path, model: Model) -> None:
    first = path.read_bytes()
    turned = dict(reversed(list(model.parameters.items())))
    origin = dict(reversed(list(model.origin.items())))
    for again in (
        model,
        Model(model.name, model.network, turned, model.threshold, origin),
        load_model(path),
    ):
        save_model(path, again)
        assert path.read_bytes() == first


def test_header_has_one_key_and_version(path: Path) -> None:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert list(header["__metadata__"]) == [KEY]
    assert json.loads(header["__metadata__"][KEY])["version"] == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_floats_become_float32(path: Path, dtype: type) -> None:
    data = path.read_bytes()
    described = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    path.write_bytes(save({name: values.astype(dtype) for name, values in load(data).items()}, described))
    for values in load_model(path).parameters.values():
        assert values.dtype == np.float32


def test_shipped() -> None:
    handmade = shipped_model("walkthrough")
    assert handmade.network is WALKTHROUGH.network
    assert handmade.threshold is None
    for preset in (DEFAULT, HANUSCHKIN):
        trained = shipped_model(preset.name)
        assert (trained.name, trained.network) == (preset.title, preset.network)
        assert trained.threshold is not None
    with pytest.raises(ValueError, match="no preset called 'nothing'"):
        shipped_model("nothing")


@pytest.mark.parametrize("preset", [DEFAULT, HANUSCHKIN], ids=lambda preset: preset.name)
def test_the_first_vote_of_a_trained_preset_is_that_of_an_x(preset: Preset) -> None:
    """Labels of generated drawings are indices of classes: 0 is an X, 1 an O."""
    trained, side = shipped_model(preset.name), preset.network.input_shape[-1]
    drawings = generate_dataset(XOSettings(side=side, neither=0), 16, 987)
    predictor = BatchPredictor(trained.network, choose_backend("cpu"), 8)
    predictor.load(trained.parameters)
    votes = predictor.scores(drawings.images).argmax(axis=1)
    assert trained.network.classes == ("X", "O")
    for label in (0, 1):
        of_label = drawings.labels == label
        assert np.mean(votes[of_label] == label) > 0.8, trained.network.classes[label]


def test_a_missing_shipped_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("engine.installation._HERE", tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"default\.safetensors, which comes with this program, is missing"):
        shipped_model("default")


@pytest.mark.parametrize("origin", [{"loss": math.nan}, {"path": Path("a")}, {"n": np.float32(1)}])
def test_an_origin_that_json_cannot_hold_is_not_saved(path: Path, model: Model, origin: dict[str, Any]) -> None:
    before = path.read_bytes()
    with pytest.raises(FileError, match="was not saved"):
        save_model(path, Model("n", model.network, model.parameters, None, origin))
    assert path.read_bytes() == before


def test_truncated_anywhere(path: Path) -> None:
    data = path.read_bytes()
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        refused(path)


@pytest.mark.parametrize("length", [0, 1, 2**20 + 1, 2**31, 2**63, 2**64 - 1])
def test_header_length_lies(path: Path, length: int) -> None:
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    refused(path)


def test_a_large_sparse_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(70 << 20)
    begun = time.process_time()
    assert "70 MiB, more than the 64 MiB" in refused(path)
    assert time.process_time() - begun < 0.2


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool, np.complex64])
def test_weights_that_are_no_floats(path: Path, dtype: type) -> None:
    data = path.read_bytes()
    described = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    path.write_bytes(save({name: values.astype(dtype) for name, values in load(data).items()}, described))
    assert "but weights are F16, F32, F64" in refused(path)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_weights_that_are_no_numbers(path: Path, bad: float) -> None:
    data = path.read_bytes()
    described = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {name: values.astype(np.float64) for name, values in load(data).items()}
    tensors["conv2d-1.weight"][0, 0, 1, 1] = bad
    path.write_bytes(save(tensors, described))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "not finite" in refused(path)


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a\\b", "", "a\x00b", "..", "line\nbreak"])
def test_names_like_paths(path: Path, name: str) -> None:
    data = path.read_bytes()
    described = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    path.write_bytes(save({**load(data), name: np.zeros(1, np.float32)}, described))
    assert "looks like a path" in refused(path)


def test_names_given_twice(path: Path) -> None:
    tensor = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    path.write_bytes(with_header(b"{" + tensor + b"," + tensor + b"}", bytes(4)))
    assert "twice" in refused(path)


@pytest.mark.parametrize("depth", [40, 1000, 200_000])
def test_deep_json(path: Path, depth: int) -> None:
    path.write_bytes(with_header(b'{"__metadata__":' + b"[" * depth + b"]" * depth + b"}"))
    assert "nested too deeply" in refused(path)
    inner = json.dumps({"__metadata__": {KEY: '{"origin":' + "[" * depth + "]" * depth + "}"}})
    path.write_bytes(with_header(inner.encode()))
    assert "nested too deeply" in refused(path)


@pytest.mark.parametrize("number", ["9" * 4000, "9" * 5000, "-" + "9" * 50, "1e999", "0." + "1" * 5000])
def test_numbers_that_are_none(path: Path, number: str) -> None:
    """Python's own advice on numbers of thousands of digits is for programmers."""
    description = json.dumps('{"version":1,"threshold":' + number + "}")
    path.write_bytes(with_header(b'{"__metadata__":{"xo-gui":' + description.encode() + b"}}"))
    sentence = refused(path)
    assert "number" in sentence
    assert len(sentence) < 300


def test_no_description(path: Path) -> None:
    tensors = load(path.read_bytes())
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(save(tensors, metadata))
        assert "not written by this program" in refused(path)


def test_a_newer_version(path: Path) -> None:
    rewrite(path, lambda description: description.update(version=3, network="of another kind"))
    assert "was written by a newer version of this program" in refused(path)


@pytest.mark.parametrize("version", [0, -1, 1.5, "1", None, True, [1]])
def test_no_version(path: Path, version: object) -> None:
    rewrite(path, lambda description: description.update(version=version))
    assert "which version" in refused(path)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "0.5", True, [], 1e400, 10**400])
def test_a_threshold_that_is_none(path: Path, threshold: object) -> None:
    rewrite(path, lambda description: description.update(threshold=threshold))
    refused(path)


@pytest.mark.parametrize("name", ["", "  ", 5, None, "two\nlines", "x" * 201])
def test_a_name_that_is_none(path: Path, name: object) -> None:
    rewrite(path, lambda description: description.update(name=name))
    assert "has no name" in refused(path)


def test_missing_and_unknown_tensors(path: Path) -> None:
    data = path.read_bytes()
    described = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = load(data)
    bias = tensors.pop("conv2d-1.bias")
    path.write_bytes(save(tensors, described))
    assert "holds 27 weights where its network needs 30" in refused(path)
    path.write_bytes(save({**tensors, "conv2d-2.bias": bias}, described))
    assert "conv2d-1.bias (3), which is missing" in refused(path)
    path.write_bytes(save({**tensors, "conv2d-1.bias": bias[:, None]}, described))
    assert "conv2d-1.bias to be 3" in refused(path)


@pytest.mark.parametrize(
    "layers",
    [
        [{"layer": "Conv2D", "features": 10**12, "size": 3}],
        [{"layer": "Conv2D", "features": 10**400, "size": 3}],
        [{"layer": "Conv2D", "features": 2, "size": 1, "padding": 60_000, "stride": 60_000}],
        [{"layer": "MaxPool2D", "size": 10**9, "stride": 1}, {"layer": "Flatten"}, {"layer": "Dense", "units": 2}],
        [{"layer": "Flatten"}, {"layer": "Dense", "units": 10**12}],
        [{"layer": "os.system"}],
        [{"layer": ["Conv2D"]}],
        [[]],
        {},
        None,
        [],
    ],
)
def test_networks_that_cannot_be(path: Path, layers: object) -> None:
    rewrite(path, lambda description: description["network"].update(layers=layers))
    refused(path)


def test_settings_that_would_keep_a_plan_busy(path: Path) -> None:
    """Weights and maps are small, but a pooling window is huge."""

    def change(description: dict[str, Any]) -> None:
        layers = description["network"]["layers"]
        layers[2:] = [
            {"layer": "MaxPool2D", "size": 10**9, "stride": 10**9},
            {"layer": "Flatten"},
            {"layer": "Votes", "strong": [[0], [1]]},
        ]

    rewrite(path, change)
    assert "MaxPool2D's size must be a whole number from 1 to 65,536" in refused(path)


def test_a_large_header(path: Path) -> None:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    path.write_bytes(with_header(data[8 : 8 + length] + b" " * 2**20, data[8 + length :]))
    assert "header of more than 1 MiB" in refused(path)


@pytest.mark.parametrize("shape", [[1, 10**9, 10**9], [1, 0, 9], [9, 9], [1, "9", 9], [1, 9, 10**30], None])
def test_inputs_that_cannot_be(path: Path, shape: object) -> None:
    rewrite(path, lambda description: description["network"].update(input_shape=shape))
    refused(path)


def test_the_old_file_outlives_a_failed_save(path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    another = Model("another", model.network, model.parameters)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="no room left"):
        save_model(path, another)
    assert path.read_bytes() == before
