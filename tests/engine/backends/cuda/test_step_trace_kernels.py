"""A training step traced on CUDA kernels equals the step itself, and matches NumPy's trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.data import FixedSource
from engine.explain import StepQuery, StepTrace
from engine.explain.step_tracer import StepStart, StepTracer
from engine.nn import RunPoint
from engine.training import Trainer, TrainingConfig
from engine.training.optimizers import Adam
from tests.engine.backends.cuda.cpu_device import CpuDevice, needs_compiler
from tests.engine.backends.cuda.cpu_kernels import kernel_backend
from tests.engine.explain.test_step_tracer import POOL, ended
from tests.engine.small_runs import CPU, MIXED

pytestmark = needs_compiler
CONFIG = TrainingConfig(Adam(0.01), batch=4, epochs=2, l2=0.01, clip=1.0, seed=3)
LOOK = StepQuery(2, maps=2, weight=("residual-1.conv2d-1.weight", (1, 2, 0, 1)))


def test_a_step_traced_on_cuda_equals_the_step_and_numpys_trace() -> None:
    data = replace(POOL, images=POOL.images[:8], labels=POOL.labels[:8])
    found: list[StepTrace] = []
    for backend in (CPU, kernel_backend(CpuDevice())):
        trainer = Trainer(MIXED, FixedSource(data), CONFIG, backend)
        standing = StepStart(RunPoint(0, 0), CONFIG, trainer.checkpoint())
        taken = ended(StepTracer(MIXED, data, backend).trace_in_slices(standing, LOOK))
        assert taken is not None
        assert taken.update is not None
        next(trainer.run())
        for name, values in trainer.parameters().items():
            np.testing.assert_array_equal(taken.update.after[name], values)
        found.append(taken)
    host, device = found
    assert host.example_pass is not None
    assert device.example_pass is not None
    assert host.weight_trace is not None
    assert device.weight_trace is not None
    for one, other in zip(
        host.example_pass.outputs + host.example_pass.gradients,
        device.example_pass.outputs + device.example_pass.gradients,
        strict=True,
    ):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(device.errors, host.errors, rtol=1e-5)
    np.testing.assert_allclose(
        device.weight_trace.example_gradients, host.weight_trace.example_gradients, rtol=1e-3, atol=1e-5
    )
