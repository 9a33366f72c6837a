"""The machine of a measurement is reported."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from engine.bench.machine import SPEED_VARIABLES, this_machine


def test_processor_versions_and_partners_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SPEED_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    found = this_machine("CPU (chosen)", {"PyTorch": "9.9"})
    assert found.device == "CPU (chosen)"
    assert found.processor.strip()
    assert found.cores >= 1
    assert found.flags.strip()
    assert found.versions["Python"] == platform.python_version()
    assert found.versions["NumPy"].startswith(f"{np.__version__} (")
    assert found.versions["PyTorch"] == "9.9"
    assert found.variables == {}


@pytest.mark.parametrize("name", ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS"])
def test_a_variable_that_changes_speeds_is_named_with_its_value(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "Haswell")
    assert this_machine("CPU", {}).variables[name] == "Haswell"
