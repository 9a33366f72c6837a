"""Phases of one training step (forward, error, backward, update), layer by layer, with a sentence for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from engine.explain import StepTrace
from engine.nn import Network
from xo_gui.app import engine_text, translate
from xo_gui.views.network import DisplayColumn
from xo_gui.widgets import APPROXIMATELY, MINUS, four_digit_text, operands, short_text, vote_texts

StepPhase = Literal["forward", "error", "backward", "update"]
STEP_PHASES: Final[tuple[StepPhase, ...]] = ("forward", "error", "backward", "update")
_TIME_SHARES: Final[dict[StepPhase, float]] = {"forward": 0.3, "error": 0.2, "backward": 0.3, "update": 0.2}


@dataclass(frozen=True)
class PhaseStep:
    """A position in the step: its phase, and the column that the phase has reached, counted from the input."""

    phase: StepPhase
    column: int


def phase_steps(columns: int) -> tuple[PhaseStep, ...]:
    """All positions of a step: forward through each column, the error, backward through each, the update."""
    last = columns - 1
    forward = [PhaseStep("forward", at) for at in range(columns)]
    backward = [PhaseStep("backward", at) for at in range(last, -1, -1)]
    return (*forward, PhaseStep("error", last), *backward, PhaseStep("update", 0))


def phase_step_at(positions: Sequence[PhaseStep], fraction: float) -> int:
    """The index of the position at this fraction, 0 to 1, of the time of a step.

    Every phase has its fixed part of the time for any number of layers, so that none is skipped.
    """
    for phase, part in _TIME_SHARES.items():
        places = [at for at, position in enumerate(positions) if position.phase == phase]
        if fraction < part:
            return places[min(int(fraction / part * len(places)), len(places) - 1)]
        fraction -= part
    return len(positions) - 1


def has_reached(position: PhaseStep, phase: Literal["forward", "backward"], column: int) -> bool:
    """Whether the forward or backward pass has reached the column at this position."""
    if position.phase == "update":
        return True
    if phase == "forward":
        return position.phase != "forward" or column <= position.column
    return position.phase == "backward" and column >= position.column


def phase_text(position: PhaseStep, display_columns: Sequence[DisplayColumn], trace: StepTrace) -> str:
    """One or two sentences on what happens at this position."""
    column, network = display_columns[position.column], trace.network
    if position.phase == "error":
        return _error_text(network, trace)
    if position.phase == "update":
        return _update_text(trace)
    votes = column.kind == "votes"
    if (
        position.phase == "backward"
        and trace.example_pass is not None
        and not trace.example_pass.gradients[column.layer].any()
    ):
        return translate(
            "StepView", "Backward: the gradient is 0 here, so the layers below learn nothing from this drawing."
        )
    if position.phase == "forward":
        if position.column == 0:
            return translate("StepView", "Forward: a drawing of the batch goes in; its label is {0}.").format(
                _label_text(trace)
            )
        if votes:
            return translate(
                "StepView", "Forward: every value votes; the sums are the scores, their softmax the votes: {0}."
            ).format(_votes_text(network, trace))
        return translate("StepView", "Forward: {0}").format(
            engine_text(network.layers[column.layer - 1].text.forward)
        )
    if votes:
        return translate(
            "StepView",
            "Backward: a score's gradient is its vote minus its target; below 0, a higher score is better.",
        )
    if position.column == 0:
        return translate(
            "StepView",
            "Backward: at green pixels more ink would raise the error, at violet pixels it would lower it.",
        )
    above = display_columns[position.column + 1].layer
    return translate("StepView", "Backward: {0}").format(engine_text(network.layers[above - 1].text.backward))


def _label_text(trace: StepTrace) -> str:
    assert trace.example_pass is not None
    shares, classes = trace.example_pass.targets, trace.network.classes
    return (
        classes[int(shares.argmax())]
        if shares.max() > 0.99
        else translate("StepView", "neither, so its target is equal votes")
    )


def _votes_text(network: Network, trace: StepTrace) -> str:
    assert trace.example_pass is not None
    texts = vote_texts(network, trace.example_pass.votes.tolist())
    return ", ".join(f"{name} {text}" for name, text in zip(network.classes, texts, strict=True))


def _error_text(network: Network, trace: StepTrace) -> str:
    assert trace.example_pass is not None
    example, mean = trace.example_pass, four_digit_text(trace.error)
    top = int(example.targets.argmax())
    if example.targets[top] > 0.99 and example.votes[top] > 0:
        error = four_digit_text(-math.log(example.votes[top]))
        vote = operands(
            [float(example.votes[top])], lambda votes: -np.log(votes), four_digit_text, error, short_text
        )
        logarithm = f"{MINUS}ln {vote.texts[0]} {'=' if vote.give_result else APPROXIMATELY} {error}"
        text = translate("StepView", "Error: the cross-entropy, how far the votes are from {0}: {1}.").format(
            network.classes[top], logarithm
        )
    else:
        text = translate(
            "StepView", "Error: the cross-entropy, how far the votes are from their targets: {0}."
        ).format(four_digit_text(example.error))
    return (
        text
        + " "
        + translate("StepView", "Mean of the {0} drawings of the batch: {1}.").format(len(trace.indices), mean)
    )


def _update_text(trace: StepTrace) -> str:
    update = trace.update
    if update is None:
        return trace.message
    if not update.is_finite:
        return translate(
            "StepView",
            "Update: a number is no longer finite, so the step is rejected. Choose a smaller learning rate.",
        )
    return translate(
        "StepView",
        "Update: each weight moves against its mean gradient over the batch, in the direction that lowers the "
        "error (learning rate {0}).",
    ).format(f"{update.rate:.3g}")
