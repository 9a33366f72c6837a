"""What only a GPU is asked: its memory, equal bytes of two trainings, and the fault drill."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256

import msgspec
import numpy as np

from engine.backends import Backend
from engine.backends.cuda import CudaOps, CupyDevice
from engine.bench.cases import DEFAULT, LARGE, BenchNet, noise_batch, start_parameters
from engine.bench.contender import BenchError
from engine.bench.report import PartResult
from engine.nn import Plan, largest_batch, plan_image_bytes, targets
from engine.training import TrainStep

MEASURED_NETS: tuple[BenchNet, ...] = (DEFAULT, LARGE)
# Examples that are not asked for at a time, however many would fit.
MOST = 1 << 20
REPEATED_NET, REPEATED_STEPS = DEFAULT, 96
# -P: a folder that happens to be called engine, where the command was started, is not this program's.
DRILL = (sys.executable, "-P", "-m", "engine.runtime.fault_drill")
DRILL_SECONDS = 90.0


def cupy_device(backend: Backend) -> CupyDevice:
    """The GPU of a backend. Raises BenchError if it has none."""
    device = backend.operations.device if isinstance(backend.operations, CudaOps) else None
    if not isinstance(device, CupyDevice):
        raise BenchError("this part needs a GPU")
    return device


def memory_results(backend: Backend) -> list[PartResult]:
    """What a plan for training says that it takes, beside what the card has less."""
    device = cupy_device(backend)
    results = []
    for net in MEASURED_NETS:
        before, batch = device.free_bytes, net.config.batch
        plan = Plan(net.network, backend, batch, learn=True)
        plan.forward(noise_batch(net, batch)[0])
        taken, said = before - device.free_bytes, plan_image_bytes(net.network, learn=True) * batch
        most = largest_batch(net.network, backend, MOST, learn=True)
        results.append(
            PartResult(
                f"memory, {net.name}, a training step of {batch}",
                f"said {said / 1e6:,.1f} MB, taken {taken / 1e6:,.1f} MB; {most:,} examples fit at a time",
            )
        )
    return results


def repeat_results(backend: Backend) -> list[PartResult]:
    """Whether two trainings from the same seed end at the same bytes. Raises BenchError if they do not."""
    first, second = (_trained_digest(backend) for _ in range(2))
    if first != second:
        raise BenchError(f"two trainings of {REPEATED_STEPS} steps from the same seed end at different bytes")
    name = f"two trainings, {REPEATED_NET.name}, {REPEATED_STEPS} steps"
    return [PartResult(name, f"the same bytes ({first[:8]})")]


def _trained_digest(backend: Backend) -> str:
    net = REPEATED_NET
    batch = net.config.batch
    images, labels = noise_batch(net, 2 * batch)
    stepper = TrainStep(net.network, backend, net.config, start_parameters(net))
    order = np.resize(np.arange(len(images)), (REPEATED_STEPS, batch))
    rates = np.full(REPEATED_STEPS, net.config.optimizer.rate, np.float32)
    stepper.load_epoch(images, targets(labels, len(net.network.classes)), order, rates)
    # The first run is launched call by call, the others as a graph.
    for _ in range(4):
        stepper.run(batch, REPEATED_STEPS // 4)
    backend.synchronize()
    digest = sha256()
    for _, values in sorted(stepper.parameters().items()):
        digest.update(values.tobytes())
    return digest.hexdigest()


class _DrillResult(msgspec.Struct):
    passed: bool
    outcome: str


def drill_results() -> list[PartResult]:
    """What the program does after a trap, in a process of its own. Raises BenchError if it does not go on."""
    known = [path for path in (os.environ.get("PYTHONPATH"), *(path or os.getcwd() for path in sys.path)) if path]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(known)}
    try:
        done = subprocess.run(DRILL, capture_output=True, timeout=DRILL_SECONDS, check=False, env=surroundings)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the process of the drill did not end within {DRILL_SECONDS:.0f} s") from error
    try:
        # Its last line: a library may print something first.
        result = msgspec.json.decode(done.stdout.strip().rpartition(b"\n")[2], type=_DrillResult)
    except msgspec.MsgspecError as error:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["nothing was printed"]
        raise BenchError(f"the process of the drill ended with code {done.returncode}: {last[0]}") from error
    if not result.passed:
        raise BenchError(result.outcome)
    return [PartResult("fault drill", result.outcome)]
