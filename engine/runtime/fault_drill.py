"""Fault drill: a kernel that traps while a network trains on the GPU, and what the program does then.

`python -m engine.runtime.fault_drill` is a process of its own, as a trap ends the use of the GPU in its process. It
prints one JSON object: `passed`, and `outcome`, a sentence.
"""

from __future__ import annotations

import json
import sys
from time import perf_counter

import numpy as np

from engine.backends import DeviceUnavailable, choose_backend
from engine.backends.cuda import CudaOps, DeviceFault
from engine.data import PoolSettings, input_kind
from engine.documents import WALKTHROUGH, Document
from engine.drawings import Drawing, Stroke
from engine.nn import Model
from engine.runtime.protocol import Request, Snapshot
from engine.runtime.runner import Runner
from engine.runtime.training_protocol import TrainingRequest
from engine.training import SGD, TrainingConfig

TRAP = 'extern "C" __global__ void trap() { __trap(); }'
# Steps before the trap and after it, and seconds that each may take.
STEPS, PATIENCE = 20, 30.0
NETWORK = WALKTHROUGH.network
KIND = input_kind(NETWORK)
MODEL = Model("Drill", NETWORK, NETWORK.initial_parameters(1))
DRAWING = Drawing((Stroke(np.array([[0.2, 0.2, 0.1], [0.8, 0.8, 0.1]], np.float32)),))
TRAINING = TrainingRequest(
    1,
    MODEL,
    "fresh",
    "Drill",
    TrainingConfig(SGD(0.01), batch=8, epochs=10_000),
    PoolSettings(KIND.with_input_shape(KIND.default_settings(), NETWORK.input_shape), 64, 8, seed=1),
    running=True,
)


def fault_drill() -> tuple[bool, str]:
    """Whether the program goes on with the processor after a trap, and what happened, in a sentence."""
    runner = Runner("gpu")
    request = Request(1, Document.blank(MODEL).with_source(DRAWING), training=TRAINING)
    before = _trained(runner, request, STEPS)
    if before.device.title == "CPU":
        return False, f"The drill did not run: {before.notices[0].text if before.notices else 'no GPU is used'}"
    _trap()
    began = perf_counter()
    first = runner.compute(request)
    seconds, steps = perf_counter() - began, _step(before)
    after = _trained(runner, request, steps + STEPS)
    if _step(after) < steps + STEPS:
        return False, f"After the trap training stands still at step {_step(after)}."
    if not first.predictions or after.device.title != "CPU":
        return False, "After the trap there is no prediction by the processor."
    pairs = zip(before.predictions[0].activations, first.predictions[0].activations, strict=True)
    if not all(np.allclose(old, new, rtol=1e-4, atol=1e-4) for old, new in pairs):
        return False, "After the trap the processor predicts something else."
    return True, (
        f"A kernel that traps at step {steps}: the processor predicts the same after {1000 * seconds:.0f} ms, and "
        f"training goes on. The notice: “{after.notices[0].text}”"
    )


def _trained(runner: Runner, request: Request, steps: int) -> Snapshot:
    """The snapshot once training has made so many steps, or has had its time."""
    end = perf_counter() + PATIENCE
    snapshot = runner.compute(request)
    while _step(snapshot) < steps and perf_counter() < end:
        runner.run_for(0.01)
        snapshot = runner.compute(request)
    return snapshot


def _step(snapshot: Snapshot) -> int:
    return -1 if snapshot.training is None else snapshot.training.current_point.step


def _trap() -> None:
    """Let a kernel trap, so that every later call of this process to the GPU fails."""
    backend = choose_backend("gpu")
    assert isinstance(backend.operations, CudaOps)
    backend.operations.device.load(TRAP, ()).get_function("trap")((1,), (1,), ())
    try:
        backend.synchronize()
    except DeviceFault:
        return
    raise RuntimeError("the kernel that traps did not end the use of the GPU")


def main() -> int:
    """Print the result as one JSON object. Returns 0."""
    try:
        passed, outcome = fault_drill()
    except (DeviceUnavailable, RuntimeError, ValueError) as error:
        passed, outcome = False, f"The drill did not run: {error}."
    sys.stdout.write(json.dumps({"passed": passed, "outcome": outcome}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
