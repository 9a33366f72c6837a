"""Ablation: how much worse drawings are read with one feature switched off. Nothing is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.backends.backend import numpy_backend
from engine.by_hand import switched_off
from engine.data.dataset import Examples
from engine.data.xo.generator import CLASSES, examples
from engine.data.xo.settings import XOSettings
from engine.documents.document import Subject
from engine.evaluation import Judge, Judgement
from engine.network import Network, Parameters

# Drawings that nobody learns from: apart from the seeds of training, which begin at 1. So many tell features apart.
SEED, COUNT = 70_707, 200
# Of held-out examples so many are read: each feature takes a reading of all.
MOST = 500
# Seconds that a piece of it may take.
PIECE = 0.01


@dataclass(frozen=True)
class Loss:
    """What switching a feature off costs: how much the mean error rises, and how much the share of those read
    rightly falls."""

    channel: int
    error: float
    accuracy: float


def ablation(subject: Subject, layer: int, given: Examples) -> Iterator[tuple[float, tuple[Loss, ...]]]:
    """The share that is done, and what is known: for every feature, or value, of `layer`, counted from 1, which
    must have weights. given: what is read, as `drawings` gives them."""
    network = subject.network
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


def drawings(network: Network, held_out: Examples | None) -> tuple[Examples, bool]:
    """What to try a network with, and whether training holds it out: the first of `held_out`, if there are any and
    they fit, or else generated drawings, half of them X, always the same. Raises ValueError if there are none."""
    kind = network.input_shape, network.classes
    if held_out is not None and len(held_out) and kind == (held_out.images.shape[1:], held_out.classes):
        return Examples(held_out.images[:MOST], held_out.labels[:MOST], held_out.classes), True
    if network.classes != CLASSES:
        raise ValueError("Only X and O can be generated: train this network, and what it holds out is tried.")
    return examples(_settings(network), COUNT, SEED), False


def _settings(network: Network) -> XOSettings:
    """Drawings as large as the network reads them, none of which is neither."""
    return XOSettings(side=network.input_shape[1], neither=0.0)
