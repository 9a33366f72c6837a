"""Beats: the moments of one step of training, one after the other, and what is said at each. They paint nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QCoreApplication

from engine.explain.step_trace import Dissection
from engine.nn.layers import (
    AvgPool2D,
    BatchNorm2D,
    Center,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2D,
    ReLU,
    Residual,
)
from engine.nn.network import Network
from xo_gui.views.network.layer_labels import Stage
from xo_gui.widgets import number_text

Act = Literal["forward", "error", "backward", "update"]
ACTS: Final[tuple[Act, ...]] = ("forward", "error", "backward", "update")
_PARTS: Final[dict[Act, float]] = {"forward": 0.3, "error": 0.2, "backward": 0.3, "update": 0.2}


@dataclass(frozen=True)
class Beat:
    """act: which of the four; column: the one that the act has come to, counted from the input."""

    act: Act
    column: int


def beats_of(columns: int) -> tuple[Beat, ...]:
    """All beats of a step through so many columns: forward through each, the error, backward, the update."""
    last = columns - 1
    forward = [Beat("forward", at) for at in range(columns)]
    backward = [Beat("backward", at) for at in range(last, -1, -1)]
    return (*forward, Beat("error", last), *backward, Beat("update", 0))


def beat_at(beats: Sequence[Beat], share: float) -> int:
    """Which beat it is when this share, 0 to 1, of the time for a step is over: every act has its part of the time,
    however many layers there are, so that none is passed over."""
    for act, part in _PARTS.items():
        places = [at for at, beat in enumerate(beats) if beat.act == act]
        if share < part:
            return places[min(int(share / part * len(places)), len(places) - 1)]
        share -= part
    return len(beats) - 1


def reached(beat: Beat, act: Literal["forward", "backward"], column: int) -> bool:
    """Whether by this beat the act has come to the column."""
    if beat.act == "update":
        return True
    if act == "forward":
        return beat.act != "forward" or column <= beat.column
    return beat.act == "backward" and column >= beat.column


def sentence(beat: Beat, stages: Sequence[Stage], found: Dissection) -> str:
    """One or two plain sentences for what happens now."""
    stage, network = stages[beat.column], found.network
    if beat.act == "error":
        return _error(network, found)
    if beat.act == "update":
        return _update(found)
    votes = stage.kind == "votes"
    if beat.act == "backward" and found.seen is not None and not found.seen.gradients[stage.shown].any():
        return _tr("Backward: nothing comes through to here, so this drawing teaches the layers below nothing.")
    if beat.act == "forward":
        if beat.column == 0:
            return _tr("Forward: a drawing of the batch goes in; it should be read as {0}.").format(_should(found))
        if votes:
            return _tr("Forward: every value votes, and these are its votes: {0}.").format(_votes(network, found))
        return _tr("Forward: {0}").format(_said(_FORWARD, network, stage.shown))
    if votes:
        return _tr("Backward: a score's gradient is its vote minus what it should be; below 0, more is better.")
    if beat.column == 0:
        return _tr("Backward: where more ink would raise the error (green), and where it would lower it (violet).")
    above = stages[beat.column + 1].shown
    return _tr("Backward: {0}").format(_said(_BACKWARD, network, above))


def _should(found: Dissection) -> str:
    """What the followed drawing is."""
    assert found.seen is not None
    shares, classes = found.seen.shares, found.network.classes
    return classes[int(shares.argmax())] if shares.max() > 0.99 else _tr("neither, so equal votes")


def _votes(network: Network, found: Dissection) -> str:
    assert found.seen is not None
    pairs = zip(network.classes, found.seen.votes.tolist(), strict=True)
    return ", ".join(f"{name} {number_text.percent(min(max(vote, 1e-6), 1 - 1e-6))}" for name, vote in pairs)


def _error(network: Network, found: Dissection) -> str:
    assert found.seen is not None
    seen, mean = found.seen, number_text.figures(found.error)
    top = int(seen.shares.argmax())
    if seen.shares[top] > 0.99 and seen.votes[top] > 0:
        vote = float(seen.votes[top])
        logarithm = f"{number_text.MINUS}ln {vote:.3g} = {number_text.figures(-math.log(vote))}"
        said = _tr("Error: how far the votes are from {0}: {1}.").format(network.classes[top], logarithm)
    else:
        said = _tr("Error: how far the votes are from what they should be: {0}.").format(
            number_text.figures(seen.error)
        )
    return said + " " + _tr("All {0} drawings of the batch: {1} on average.").format(len(found.places), mean)


def _update(found: Dissection) -> str:
    update = found.update
    if update is None:
        return found.words
    if not update.fine:
        return _tr("Update: a number is not finite any more, so the step is refused. Choose a smaller rate.")
    return _tr(
        "Update: the batch's mean gradient moves every weight against it: what raised the error goes down, what "
        "lowered it goes up (rate {0})."
    ).format(f"{update.rate:.3g}")


def _said(table: dict[type[Layer], str], network: Network, layer: int) -> str:
    made = network.layers[layer - 1]
    words = next((words for kind, words in table.items() if isinstance(made, kind)), None)
    if words is None:
        words = _OTHERWISE[table is _BACKWARD]
    return _tr(words)


def _tr(text: str) -> str:
    return QCoreApplication.translate("StepView", text)


# What is said of a layer when its values are made, and when the gradient has come through it.
_FORWARD: dict[type[Layer], str] = {
    Conv2D: "filtering. Every feature is laid on every place: how well does it match there?",
    MaxPool2D: "pooling. Of each window only the strongest match is kept.",
    AvgPool2D: "pooling. Of each window the mean is kept.",
    GlobalAvgPool: "of every map the mean is kept.",
    LeakyReLU: "leaky ReLU. What is below zero is made small.",
    ReLU: "ReLU. Whatever is below zero becomes zero.",
    Dense: "every value below votes for every one here, as strongly as the weight between them says.",
    Flatten: "the maps are written out as one list.",
    Dropout: "dropout. Some values, drawn by lot, are switched off for this step.",
    BatchNorm2D: "batch norm. Every map is brought to mean 0 and spread 1 over the batch.",
    Center: "the mean of all drawings is subtracted.",
    Residual: "what comes in is added to what the layers in between make of it.",
}
_BACKWARD: dict[type[Layer], str] = {
    Conv2D: "each pixel under a feature gets its share, as much as the weight that lay on it; so does each weight.",
    MaxPool2D: "only the winner of each window gets any of it.",
    AvgPool2D: "every value of a window gets an equal share.",
    GlobalAvgPool: "every place of a map gets an equal share.",
    LeakyReLU: "what was below zero gets little of it.",
    ReLU: "where ReLU cut to zero, nothing comes through.",
    Dense: "every value gets its share from all it voted for, by the weight between; so does each weight.",
    Flatten: "the list is folded back into maps.",
    Dropout: "what was switched off gets nothing.",
    BatchNorm2D: "it is shared through the batch's mean and spread.",
    Center: "it passes as it is.",
    Residual: "it comes back both ways, around the layers and through them.",
}
_OTHERWISE = ("every value is changed by itself.", "each value gets as much as it changed what came of it.")
