"""Choosing who computes, and that nothing above the choice takes it for granted that it is NumPy."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.backend import Backend, DeviceError, choose_backend
from engine.bench.layer_cases import CASES, name_of, random_values, with_head
from engine.datasets.sources import Generated
from engine.datasets.xo_settings import XOSettings
from engine.document import Document, Subject
from engine.drawing import Drawing
from engine.evaluation import judge
from engine.layers import Conv2D, Dense, Flatten, Layer, MaxPool2D, ReLU, Shape
from engine.network import Network
from engine.operations import replay
from engine.optimizers import SGD, Adam, Optimizer
from engine.plan import Plan
from engine.presets import DEFAULT, WALKTHROUGH, handmade_parameters
from engine.reading import Reader
from engine.recipe import Recipe
from engine.runner import Request, Runner
from engine.training import Trainer
from tests.engine.fake_cupy import fake_cupy

CPU = choose_backend("cpu")


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.fixture
def no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where CuPy is not installed."""

    class Missing:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "cupy":
                raise ModuleNotFoundError("No module named 'cupy'", name="cupy")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """The backend that is chosen where CuPy works."""
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
    return choose_backend("gpu")


# -- choosing ------------------------------------------------------------------------------------------------------


def test_the_processor_is_taken_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy())
    assert (choose_backend("cpu").name, choose_backend("cpu").reason) == ("cpu", "chosen")


@pytest.mark.usefixtures("no_cupy")
def test_without_cupy_auto_is_the_processor_and_says_why() -> None:
    backend = choose_backend("auto")
    assert (backend.name, backend.title, backend.reason) == ("cpu", "CPU", "CuPy not installed")


@pytest.mark.usefixtures("no_cupy")
def test_without_cupy_the_gpu_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"^CuPy not installed$"):
        choose_backend("gpu")


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no device called 'tpu': choose auto, cpu or gpu\.$"):
        choose_backend("tpu")  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_working_gpu_is_taken_by_its_name(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    backend = choose_backend(device)
    assert (backend.name, backend.title, backend.reason) == ("gpu", "Make-believe GPU", "test kernel ran")
    assert backend.xp is cupy
    backend.wait()


FAULTS: list[tuple[Callable[[Any], None], str]] = [
    (lambda cupy: setattr(cupy.cuda, "is_available", lambda: False), "no CUDA driver or no NVIDIA GPU"),
    (lambda cupy: setattr(cupy.cuda, "is_available", raising(OSError("no libcuda"))), "no libcuda"),
    (lambda cupy: setattr(cupy, "arange", raising(RuntimeError("cannot compile\nline 2"))), "cannot compile"),
    (lambda cupy: setattr(cupy, "arange", raising(MemoryError())), "MemoryError"),
    (lambda cupy: setattr(cupy, "arange", lambda *_, **__: cupy.zeros(4)), "wrong result"),
    (lambda cupy: delattr(cupy, "cuda"), "cuda"),
    (lambda cupy: setattr(cupy.cuda, "runtime", SimpleNamespace()), "getDeviceProperties"),
]


@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=[words for _, words in FAULTS])
def test_a_gpu_that_does_not_work_is_one_line_and_auto_goes_on(
    spoil: Callable[[Any], None], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cupy = fake_cupy()
    spoil(cupy)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(DeviceError, match=words) as error:
        choose_backend("gpu")
    assert "\n" not in str(error.value)
    assert not str(error.value).endswith(".")
    backend = choose_backend("auto")
    assert (backend.name, backend.reason) == ("cpu", str(error.value))


def test_a_cupy_that_cannot_be_loaded_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "cupy":
                raise ImportError("libcublas.so.12 is missing.")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])
    assert choose_backend("auto").reason == "CuPy cannot be loaded: libcublas.so.12 is missing"


@pytest.mark.usefixtures("no_cupy")
def test_the_runner_goes_on_with_the_processor_and_says_so_once() -> None:
    runner = Runner("gpu")
    document = Document(Drawing(), (Subject("Walk-through", WALKTHROUGH.network, handmade_parameters()),))
    first, again = (runner.answer(Request(1, document)) for _ in range(2))
    assert first.device.title == "CPU"
    assert first.readings
    assert again.readings
    (notice,) = again.notices
    assert notice.text == "The GPU cannot be used (CuPy not installed); the processor computes instead."


# -- computing with another array library ------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=name_of)
@pytest.mark.parametrize("keep", [True, False])
def test_every_layer_gives_the_same_on_the_other_library(
    case: tuple[Layer, Shape], keep: bool, gpu: Backend
) -> None:
    network = with_head(*case)
    rng = np.random.default_rng(5)
    values = {name: array.astype(np.float32) for name, array in random_values(network, rng).items()}
    images = rng.normal(0, 1, (3, *network.input_shape)).astype(np.float32)
    shares = np.array([[1, 0], [0, 1], [0.5, 0.5]], np.float32)
    here, there = (Plan(network, backend, 3, keep=keep, learn=True, input_gradient=True) for backend in (CPU, gpu))
    for plan in (here, there):
        plan.load(values)
        plan.forward(images)
        plan.backward(shares)
    near = {"rtol": 1.3e-6, "atol": 1e-5}
    np.testing.assert_allclose(gpu.to_host(there.scores), here.scores, **near)
    np.testing.assert_allclose(there.loss, here.loss, **near)
    np.testing.assert_allclose(there.input_gradient(), here.input_gradient(), **near)
    for name, gradient in here.parameter_gradients().items():
        np.testing.assert_allclose(there.parameter_gradients()[name], gradient, **near)
        np.testing.assert_array_equal(there.parameters()[name], values[name])


SMALL = Network((1, 12, 12), (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)))
DATA = XOSettings(side=12, size=(0.6, 1.0))


@pytest.mark.parametrize("optimizer", [SGD(0.05, decay=0.01), Adam(0.01, decay=0.01)])
def test_ten_steps_of_training_end_at_the_same_weights(optimizer: Optimizer, gpu: Backend) -> None:
    recipe = Recipe(optimizer, 0.1, batch=10, epochs=2, examples=45, data=DATA)
    ends = []
    for backend in (CPU, gpu):
        trainer = Trainer(SMALL, Generated(DATA, 45, 1), recipe, backend)
        assert len(list(trainer.steps())) == 10
        ends.append(trainer.parameters())
        judge(SMALL, ends[-1], Generated(DATA, 45, 1).held_out(20), backend)
    for name, values in ends[0].items():
        np.testing.assert_allclose(ends[1][name], values, rtol=0, atol=1e-4)


def test_a_reading_is_made_of_host_arrays(gpu: Backend) -> None:
    subject = Subject("Default", DEFAULT.network, DEFAULT.network.initial(1))
    picture = np.full((32, 32), 0.5, np.float32)
    there, here = (Reader(subject, backend).read(picture) for backend in (gpu, CPU))
    for got, expected in zip((*there.outputs, there.votes), (*here.outputs, here.votes), strict=True):
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, expected, rtol=1.3e-6, atol=1e-5)


def test_a_pass_allocates_nothing_once_it_is_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    gpu = choose_backend("gpu")
    plan = Plan(DEFAULT.network, gpu, 2, learn=True, input_gradient=True)
    update = Adam().update(gpu.operations, plan.values, plan.gradients, Adam().start(gpu.operations, plan.values))
    before = cupy.created
    plan.forward(np.zeros((2, 1, 32, 32), np.float32))
    plan.backward(np.full((2, 2), 0.5, np.float32))
    replay(update)
    assert cupy.created == before
