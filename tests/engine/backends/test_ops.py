"""What the operations of every backend refuse."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backends import ActivationFunction, Ops, choose_backend
from tests.engine.backends.cuda.cpu_device import CpuDevice
from tests.engine.backends.cuda.cpu_kernels import kernel_backend


@pytest.mark.parametrize(
    "ops", [choose_backend("cpu").operations, kernel_backend(CpuDevice()).operations], ids=["numpy", "cuda"]
)
def test_an_unknown_activation_is_refused(ops: Ops) -> None:
    arrays = [np.zeros(3, np.float32) for _ in range(3)]
    message = "no activation function called 'softsign' here; there are relu, leaky_relu, tanh, sigmoid"
    with pytest.raises(ValueError, match=message):
        ops.activation(ActivationFunction("softsign"), *arrays[:2])
    with pytest.raises(ValueError, match=message):
        ops.activation_gradient(ActivationFunction("softsign"), *arrays)
