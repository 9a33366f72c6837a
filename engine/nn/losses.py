"""Softmax and cross-entropy, the loss that training minimizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.backends import HostArray


def softmax(scores: HostArray) -> HostArray:
    """exp(s - max s) / sum along the last axis; any leading shape, same dtype; NaN where a score is infinite."""
    # With diverged weights a difference is -inf, whose exponential is 0, as it should be.
    with np.errstate(over="ignore", invalid="ignore"):
        raised = np.exp(scores - scores.max(-1, keepdims=True))
        votes: HostArray = raised / raised.sum(-1, keepdims=True)
    return votes


def cross_entropy(scores: HostArray, labels: HostArray) -> HostArray:
    """The loss of each example: -sum over classes of target * log softmax(scores).

    scores (N, classes), labels (N,) as in `targets`; returns (N,).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = scores - scores.max(-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        errors: HostArray = -(targets(labels, scores.shape[1], scores.dtype) * logs).sum(-1)
    return errors


def targets(labels: HostArray, classes: int, dtype: Any = np.float32) -> HostArray:
    """Target votes (N, classes): 1 for the labelled class, equal shares for -1, "neither"."""
    shares = np.zeros((len(labels), classes), dtype)
    known = np.flatnonzero(labels >= 0)
    shares[known, labels[known]] = 1
    shares[labels < 0] = 1 / classes
    return shares
