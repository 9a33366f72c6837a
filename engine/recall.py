"""Recall: how well a network reads some of the very examples it learns from, after every epoch. It trains
nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from engine.backends.backend import Backend, numpy_backend
from engine.backends.cuda import DeviceFault
from engine.data.dataset import Examples
from engine.evaluation import Judge, Judgement
from engine.history import History
from engine.nn.model import Moment
from engine.nn.network import Network, Parameters

SAMPLE: Final = 256  # examples, spread evenly: reading them costs a step or two


class Recall:
    """Reads the same sample again and again, a piece at a time."""

    def __init__(self, network: Network, backend: Backend, learnt_from: Examples) -> None:
        places = np.unique(np.linspace(0, len(learnt_from) - 1, SAMPLE).round().astype(np.intp))
        self._network, self._sample = network, learnt_from.take(places)
        self._judge = Judge(network, backend, self._sample)
        self._pieces: Iterator[Judgement | None] | None = None
        self._at = Moment(-1, -1)

    @property
    def busy(self) -> bool:
        """Whether a reading is under way."""
        return self._pieces is not None

    def begin(self, at: Moment, parameters: Parameters, seconds: float) -> None:
        """Read them by the parameters of `at`. seconds: after which a piece may end."""
        self._at, self._pieces = at, self._judge.pieces(parameters, seconds)

    def advance(self, history: History) -> None:
        """One piece; at the end the share read rightly is written into the history."""
        assert self._pieces is not None
        try:
            found = next(self._pieces)
        except DeviceFault:
            # What trains says what has happened to the device; here one reading is left out.
            self._judge, self._pieces = Judge(self._network, numpy_backend("the GPU failed"), self._sample), None
            return
        if found is not None:
            self._pieces = None
            history.recall(self._at.branch, self._at.step, found.score.accuracy)
