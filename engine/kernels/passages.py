"""Passages: ways between host and GPU that are part of a program, through memory of the host that the GPU reads and
writes itself. A copy started by the host would cost more than a pass over a small network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.backends.ops import Array, Calls, HostArray
from engine.kernels.elementwise import copy
from engine.kernels.launch import Kernels


class Inlet:
    """See operations.Inlet."""

    def __init__(self, kernels: Kernels, target: Array) -> None:
        self._device = kernels.device
        self._host, passage = kernels.device.shared(tuple(target.shape), target.dtype)
        self.calls: Calls = copy(kernels, passage, target)

    def put(self, values: HostArray) -> None:
        """As soon as no run may still be reading."""
        self._device.wait()
        np.copyto(self._host, values)


class Outlet:
    """See operations.Outlet."""

    def __init__(self, kernels: Kernels, sources: Sequence[Array]) -> None:
        self._device = kernels.device
        self._hosts: list[HostArray] = []
        self.calls: Calls = []
        for source in sources:
            host, passage = kernels.device.shared(tuple(source.shape), source.dtype)
            self._hosts.append(host)
            self.calls += copy(kernels, source, passage)

    def take(self) -> list[HostArray]:
        """Copies, once the run is done."""
        self._device.wait()
        return [host.copy() for host in self._hosts]
