"""Calibration: chooses, on generated drawings, the vote below which a network should say "unsure"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

HostArray: TypeAlias = "np.ndarray[Any, Any]"


@dataclass(frozen=True)
class Calibration:
    """threshold: the vote below which the verdict is "unsure". named: of each class and of "neither" the share that
    gets the right verdict with it; wrong: the share of all that is called a class it is not."""

    threshold: float
    named: dict[str, float]
    wrong: float


def calibrate(votes: HostArray, labels: HostArray, classes: tuple[str, ...]) -> Calibration:
    """The threshold with the best mean, over the classes and "neither", of the share that is named rightly.

    votes (N, classes), labels (N,) with -1 for neither. Thresholds are tried upward from equal votes in steps of
    0.005; of equally good ones the middle is taken. Raises ValueError unless every class and "neither" occurs.
    """
    missing = [place for place in range(-1, len(classes)) if not (labels == place).any()]
    if missing:
        raise ValueError("Choosing the threshold needs examples of every class and of neither; some are missing.")
    tried = np.arange(1 / len(classes), 0.9951, 0.005)
    means = np.array([np.mean(list(_named(votes, labels, classes, at).values())) for at in tried])
    best = np.flatnonzero(means >= means.max() - 1e-12)
    threshold = round(float(tried[best[len(best) // 2]]), 3)
    sure = votes.max(1) >= threshold
    wrong = float((sure & (votes.argmax(1) != labels)).mean())
    return Calibration(threshold, _named(votes, labels, classes, threshold), wrong)


def _named(votes: HostArray, labels: HostArray, classes: tuple[str, ...], threshold: float) -> dict[str, float]:
    """Of each class and of "neither", the share that gets the right verdict."""
    top, sure = votes.argmax(1), votes.max(1) >= threshold
    shares = {name: float((sure & (top == place))[labels == place].mean()) for place, name in enumerate(classes)}
    return shares | {"neither": float(1 - sure[labels < 0].mean())}
