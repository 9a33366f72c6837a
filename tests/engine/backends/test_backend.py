"""Choosing the backend, faults of the GPU, and captured CUDA graphs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.backends import Backend, DeviceUnavailable, choose_backend
from engine.backends.cuda import DeviceFault, TileCosts, described_costs
from engine.data import GeneratedSource
from engine.data.xo import XOSettings
from engine.documents import DEFAULT, WALKTHROUGH, Document
from engine.documents.presets import handmade_parameters
from engine.drawings import Drawing
from engine.nn import Model, Network, Plan, Predictor
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU
from engine.runtime import Request, Runner
from engine.training import SGD, Optimizer, Trainer, TrainingConfig, evaluate
from engine.training.optimizers import Adam
from tests.engine import fake_cupy
from tests.engine.backends.cuda.cpu_device import needs_compiler
from tests.engine.fake_cupy import ILLEGAL_ADDRESS, NO_MEMORY
from tests.samples import drawing_sample

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
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A fake CuPy module, whose GPU computes on the CPU."""
    module = fake_cupy.fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.fixture
def gpu(cupy: Any) -> Backend:
    """The backend chosen with the fake CuPy."""
    return choose_backend("gpu")


# -- choosing ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("cupy")
def test_the_cpu_is_chosen_on_request() -> None:
    assert (choose_backend("cpu").name, choose_backend("cpu").reason) == ("cpu", "chosen")


@pytest.mark.usefixtures("no_cupy")
def test_without_cupy_auto_is_the_cpu_with_the_reason() -> None:
    backend = choose_backend("auto")
    assert (backend.name, backend.title, backend.reason) == ("cpu", "CPU", "CuPy not installed")


@pytest.mark.usefixtures("no_cupy")
def test_without_cupy_the_gpu_is_refused() -> None:
    with pytest.raises(DeviceUnavailable, match=r"^CuPy not installed$"):
        choose_backend("gpu")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no device called 'tpu': choose auto, cpu or gpu\.$"):
        choose_backend("tpu")  # type: ignore[arg-type]


@needs_compiler
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("device", ["auto", "gpu"])
def test_a_working_gpu_is_chosen_with_its_name(device: Any) -> None:
    backend = choose_backend(device)
    assert (backend.name, backend.title, backend.reason) == ("gpu", "Make-believe GPU", "test kernel ran")
    backend.synchronize()


@needs_compiler
def test_tiles_are_chosen_for_the_limits_that_the_card_reports(cupy: Any) -> None:
    """A driver that does not report them is no reason to refuse the GPU."""
    card = choose_backend("gpu").card
    assert card is not None
    assert (card.capability, card.clock, card.threads, card.shared_bytes) == ("8.6", 1500, 1536, 100 * 1024)
    assert described_costs(card).max_resident == 1536
    cupy.attributes = {"MultiProcessorCount": 8}
    untold = choose_backend("gpu").card
    assert untold is not None
    assert described_costs(untold) == TileCosts()


def compiles_to(text: str) -> Callable[[Any], None]:
    """Makes every kernel of the fake CuPy the test kernel, with `text` as its body."""
    code = 'extern "C" __global__ void matmul(const float* left, int a, int b, const float* right, int c, int d, '
    code += f"float* out, int e, int f, int rows, int columns, int members) {{ {text} }}"

    def spoil(cupy: Any) -> None:
        made = cupy.RawModule
        cupy.RawModule = lambda **given: made(code=code, options=given["options"])

    return spoil


FAULTS: list[tuple[Callable[[Any], None], str]] = [
    (lambda cupy: setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0), "no NVIDIA GPU was found"),
    (lambda cupy: setattr(cupy.cuda.runtime, "getDeviceCount", raising(OSError("no libcuda"))), "no libcuda"),
    (lambda cupy: setattr(cupy, "RawModule", raising(RuntimeError("no headers\nline 2"))), "no headers"),
    (lambda cupy: setattr(cupy, "RawModule", raising(MemoryError())), "MemoryError"),
    (compiles_to("out = ;"), "kernel matmul cannot be compiled"),
    (compiles_to(""), "gave a wrong result"),
    (lambda cupy: cupy.gpu.faults.update({1: NO_MEMORY}), "too little memory left"),
    (lambda cupy: cupy.gpu.faults.update({4: ILLEGAL_ADDRESS}), "illegal memory access"),
    (lambda cupy: delattr(cupy, "cuda"), "cuda"),
    (lambda cupy: setattr(cupy.cuda.runtime, "getDeviceProperties", raising(OSError("no name"))), "no name"),
]


@needs_compiler
@pytest.mark.parametrize(("spoil", "words"), FAULTS, ids=[words for _, words in FAULTS])
def test_a_broken_gpu_gives_a_one_line_error_and_auto_falls_back(
    spoil: Callable[[Any], None], words: str, cupy: Any
) -> None:
    spoil(cupy)
    with pytest.raises(DeviceUnavailable, match=words) as error:
        choose_backend("gpu")
    assert "\n" not in str(error.value)
    assert not str(error.value).endswith(".")
    spoil(cupy) if hasattr(cupy, "cuda") else None
    cupy.gpu.calls = 0
    backend = choose_backend("auto")
    assert (backend.name, backend.reason) == ("cpu", str(error.value))


def test_a_cupy_that_cannot_be_loaded_gives_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "cupy":
                raise ImportError("libcublas.so.12 is missing.")

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken, *sys.meta_path])
    assert choose_backend("auto").reason == "CuPy cannot be loaded: libcublas.so.12 is missing"


@pytest.mark.usefixtures("no_cupy")
def test_the_runner_falls_back_to_the_cpu_with_one_notice() -> None:
    runner = Runner("gpu")
    document = Document(
        drawing_sample(Drawing()), (Model("Walk-through", WALKTHROUGH.network, handmade_parameters()),)
    )
    first, again = (runner.compute(Request(1, document)) for _ in range(2))
    assert first.device.title == "CPU"
    assert first.predictions
    assert again.predictions
    (notice,) = again.notices
    assert notice.text == "The GPU cannot be used: CuPy not installed; the processor computes instead."


# -- computing on the GPU ------------------------------------------------------------------------------------------

SMALL = Network(
    (1, 12, 12), (Conv2D(4, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
)
DATA = XOSettings(side=12, size=(0.6, 1.0))


@needs_compiler
@pytest.mark.parametrize("optimizer", [SGD(0.05), Adam(0.01)])
def test_ten_steps_of_training_end_at_the_same_weights(optimizer: Optimizer, gpu: Backend) -> None:
    config = TrainingConfig(optimizer, batch=10, epochs=2, examples=45, data=DATA)
    ends, losses = [], []
    for backend in (CPU, gpu):
        trainer = Trainer(SMALL, GeneratedSource(DATA, 45, 1), config, backend)
        losses.append([event.loss for event in trainer.run()])
        held_out = GeneratedSource(DATA, 45, 1).held_out(20)
        ends.append(
            trainer.parameters() | {"scores": evaluate(SMALL, trainer.parameters(), held_out, backend).scores}
        )
    assert len(losses[0]) == 10
    np.testing.assert_allclose(losses[1], losses[0], rtol=0, atol=1e-4)
    for name, values in ends[0].items():
        np.testing.assert_allclose(ends[1][name], values, rtol=0, atol=1e-4)


@needs_compiler
def test_a_prediction_consists_of_host_arrays(gpu: Backend) -> None:
    model = Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(1))
    picture = np.full((48, 48), 0.5, np.float32)
    there, here = (Predictor(model, backend).predict(picture) for backend in (gpu, CPU))
    for got, expected in zip((*there.activations, there.votes), (*here.activations, here.votes), strict=True):
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, expected, rtol=1.3e-6, atol=1e-5)


def doubling(backend: Backend, times: int) -> tuple[Callable[[], None], Any]:
    """A program that doubles the values of an array `times` times, and the array."""
    ops = backend.operations
    array = ops.from_host(np.ones(3, np.float32))
    return backend.program(ops.add(array, array, array), times), array


@needs_compiler
def test_a_program_is_captured_at_its_second_run_and_launched_as_one_graph(gpu: Backend, cupy: Any) -> None:
    run, array = doubling(gpu, 5)
    run()
    assert cupy.gpu.graphs == []
    run()
    run()
    assert cupy.gpu.graphs == [5]
    assert gpu.operations.to_host(array).tolist() == [2.0**15] * 3


@needs_compiler
@pytest.mark.expects_log
def test_without_graph_capture_steps_run_one_by_one_with_a_warning(
    gpu: Backend, cupy: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, array = doubling(gpu, 2)
    run()
    monkeypatch.setattr(
        fake_cupy.Stream, "begin_capture", raising(fake_cupy.CUDARuntimeError(801, "not supported"))
    )
    run()
    run()
    assert gpu.operations.to_host(array).tolist() == [64.0] * 3
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "not supported" in record.getMessage()


@needs_compiler
def test_a_training_step_is_one_graph(gpu: Backend, cupy: Any) -> None:
    """Nothing in it synchronizes with the host, which a capture would refuse."""
    config = TrainingConfig(batch=9, epochs=2, examples=45, data=DATA)
    alone, together = (
        Trainer(SMALL, GeneratedSource(DATA, 45, 1), config, gpu, steps_per_call=stride) for stride in (1, 5)
    )
    assert len(list(alone.run())) == 10
    (a_step,) = cupy.gpu.graphs
    assert a_step > 10
    assert len(list(together.run())) == 10
    assert cupy.gpu.graphs == [a_step, 5 * a_step]
    for name, values in alone.parameters().items():
        np.testing.assert_array_equal(together.parameters()[name], values)


@needs_compiler
def test_a_pass_is_one_graph(gpu: Backend, cupy: Any) -> None:
    plan = Plan(SMALL, gpu, 1, keep_outputs=True)
    plan.load(SMALL.initial_parameters(1))
    found = [gpu.operations.to_host(plan.forward(np.ones((1, 1, 12, 12), np.float32))) for _ in range(3)]
    assert len(cupy.gpu.graphs) == 1
    np.testing.assert_array_equal(found[2], found[0])


@needs_compiler
def test_a_prediction_is_one_graph_from_input_to_feature_maps(gpu: Backend, cupy: Any) -> None:
    """And it equals a pass whose maps are fetched one by one; inputs never mix with the previous ones."""
    plan = Plan(SMALL, gpu, 1, keep_outputs=True)
    plan.load(SMALL.initial_parameters(1))
    pictures = [np.full((1, 1, 12, 12), value, np.float32) for value in (1, -0.5, 0.25, 2)]
    for number, picture in enumerate(pictures):
        read = plan.forward_outputs(picture)
        calls = cupy.gpu.calls
        plan.forward(picture)
        for got, expected in zip(read, plan.outputs(), strict=True):
            np.testing.assert_array_equal(got, expected)
        if number == 3:
            before = cupy.gpu.calls
            plan.forward_outputs(picture)
            # The graph, and waiting for it.
            assert cupy.gpu.calls - before <= 2
        assert calls
    with pytest.raises(ValueError, match="keep_outputs=True"):
        Plan(SMALL, gpu, 1).forward_outputs(pictures[0])


@needs_compiler
def test_a_predictor_times_the_layers_of_a_gpu_only_occasionally(gpu: Backend, cupy: Any) -> None:
    reader = Predictor(Model("Small", SMALL, SMALL.initial_parameters(1)), gpu)
    picture = np.full((12, 12), 0.5, np.float32)
    predictions = [reader.predict(picture) for _ in range(4)]
    before = len(cupy.gpu.launches)
    assert reader.predict(picture).layer_seconds == predictions[1].layer_seconds
    assert len(predictions[0].layer_seconds) == len(SMALL.layers)
    assert len(cupy.gpu.launches) - before == cupy.gpu.graphs[-1]
    for prediction in predictions[1:]:
        for got, expected in zip(prediction.activations, predictions[0].activations, strict=True):
            np.testing.assert_array_equal(got, expected)


USES: dict[str, Callable[[Backend], object]] = {
    "allocate": lambda backend: backend.operations.zeros((3,), np.float32),
    "upload": lambda backend: backend.operations.from_host(np.ones(3, np.float32)),
    "launch": lambda backend: doubling(backend, 1)[0](),
    "wait": lambda backend: (doubling(backend, 1)[0](), backend.synchronize()),
    "fetch": lambda backend: backend.operations.to_host(backend.operations.zeros((3,), np.float32)),
}


@needs_compiler
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("error", "words", "out_of_memory"),
    [
        (NO_MEMORY, r"too little memory left: Out of memory.* A smaller batch needs less\.$", True),
        (fake_cupy.CUDARuntimeError(2, "cudaErrorMemoryAllocation: out of memory"), "too little memory", True),
        (fake_cupy.CUDADriverError(2, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"), "too little memory", True),
        (ILLEGAL_ADDRESS, r"^The GPU failed: cudaErrorIllegalAddress: .* encountered\.$", False),
        (fake_cupy.CUDADriverError(719, "CUDA_ERROR_LAUNCH_FAILED: failed"), "LAUNCH_FAILED", False),
    ],
)
def test_every_gpu_failure_is_a_device_fault(
    use: str, error: Exception, words: str, out_of_memory: bool, gpu: Backend, cupy: Any
) -> None:
    USES[use](gpu)  # compiles what it needs
    before = cupy.gpu.calls
    USES[use](gpu)
    # The last call of this use fails.
    cupy.gpu.faults[2 * cupy.gpu.calls - before] = error
    with pytest.raises(DeviceFault, match=words) as fault:
        USES[use](gpu)
    assert fault.value.out_of_memory == out_of_memory


@needs_compiler
def test_only_requested_activations_are_transferred(gpu: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a layer in non-contiguous memory; and it equals a prediction with all activations."""
    model = Model("Default", DEFAULT.network, DEFAULT.network.initial_parameters(1))
    on_gpu, on_cpu = Predictor(model, gpu), Predictor(model, CPU)
    pictures = np.random.default_rng(1).uniform(-1, 1, (4, 48, 48)).astype(np.float32)
    carried: list[int] = []
    get = fake_cupy.Array.get

    def counted(array: fake_cupy.Array, stream: Any) -> Any:
        found = get(array, stream)
        carried.append(found.size)
        return found

    monkeypatch.setattr(fake_cupy.Array, "get", counted)
    wanted = {layer: range(1, 3) for layer in range(1, len(DEFAULT.network.layers))}
    on_gpu.predict(pictures[0], wanted)  # the first time compiles, both ways
    for picture in pictures:
        carried.clear()
        there, here = on_gpu.predict(picture, wanted).activations, on_cpu.predict(picture).activations
        assert there.available == {0: range(1), **wanted, len(DEFAULT.network.layers): range(2)}
        for layer, maps, values in there.iter_parts():
            np.testing.assert_allclose(values, here.channels(layer, maps), rtol=1.3e-6, atol=1e-5)
        assert sum(carried) == sum(values.size for _, _, values in there.iter_parts())
