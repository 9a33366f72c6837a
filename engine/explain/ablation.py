"""Ablation: how much worse drawings are read with one feature switched off. Nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.backend import numpy_backend
from engine.by_hand import switched_off
from engine.datasets.xo import CLASSES, examples
from engine.datasets.xo_settings import XOSettings
from engine.document import Subject
from engine.evaluation import Judge, Judgement
from engine.network import Network, Parameters

# Drawings that nobody learns from: apart from the seeds of training, which begin at 1. So many tell features apart.
SEED, COUNT = 70_707, 200
# Seconds that a piece of it may take.
PIECE = 0.01


@dataclass(frozen=True)
class Loss:
    """What switching a feature off costs: how much the mean error rises, and how much the share of those read
    rightly falls."""

    channel: int
    error: float
    accuracy: float


def ablation(subject: Subject, layer: int) -> Iterator[tuple[float, tuple[Loss, ...]]]:
    """The share that is done, and what is known: for every feature, or value, of `layer`, counted from 1, which
    must have weights. Generated drawings are read, half of them X; always the same. Raises ValueError for a network
    that does not tell X from O."""
    network = subject.network
    if network.classes != CLASSES:
        raise ValueError("Only a network that reads X and O can be tried with generated drawings.")
    given = examples(_settings(network), COUNT, SEED)
    yield 0.0, ()
    judge = Judge(network, numpy_backend("explanations"), given)
    count = network.shapes[layer][0]
    whole: Judgement | None = None
    found: tuple[Loss, ...] = ()
    for step in range(-1, count):
        parameters: Parameters = subject.parameters if step < 0 else switched_off(subject, layer, step).parameters
        judged: Judgement | None = None
        for judged in judge.pieces(parameters, PIECE):
            if judged is None:
                yield (step + 1) / (count + 2), found
        assert judged is not None
        if whole is None:
            whole = judged
        else:
            before, after = whole.score, judged.score
            found = (*found, Loss(step, after.loss - before.loss, before.accuracy - after.accuracy))
    yield 1.0, found


def _settings(network: Network) -> XOSettings:
    """Drawings as large as the network reads them, none of which is neither."""
    return XOSettings(side=network.input_shape[1], neither=0.0)
