"""Model labels: the names of the models on the screen, and whether their predictions agree."""

from __future__ import annotations

from collections.abc import Sequence

from engine.nn import UNSURE, Model, Prediction
from engine.runtime import TrainingReport
from xo_gui.app import translate

MODEL_LETTERS = ("A", "B")


def model_label(model: Model, training: TrainingReport | None = None, live: bool = False) -> str:
    """The label of one of two models: its name and its training step.

    live: whether its parameters are those of the training run, or of the step shown of it.
    """
    if live and training is not None and 0 <= training.shown_point.branch < len(training.branches):
        at = training.shown_point
        point = translate("CompareView", "step {0} of {1}").format(at.step, training.branches[at.branch].name)
    else:
        point = str(model.origin.get("moment", ""))
    return f"{model.name} · {point}" if point else model.name


def model_labels(predictions: Sequence[Prediction], training: TrainingReport | None, live: bool) -> tuple[str, ...]:
    """The label of each model; live: whether the first has the parameters of the training run."""
    return tuple(
        model_label(prediction.model, training, live and not at) for at, prediction in enumerate(predictions)
    )


def agreement_text(predictions: Sequence[Prediction]) -> str:
    """Whether two networks predict the same class, as a sentence; "" for any other number of networks."""
    if len(predictions) != 2:
        return ""
    first, second = (prediction.predicted_class for prediction in predictions)
    if predictions[0].model.network.classes != predictions[1].model.network.classes:
        return translate("CompareView", "Their classes differ.")
    if first == second:
        return (
            translate("CompareView", "Both are unsure.")
            if first == UNSURE
            else translate("CompareView", "Both predict {0}.").format(first)
        )
    texts = [
        translate("CompareView", "is unsure")
        if name == UNSURE
        else translate("CompareView", "predicts {0}").format(name)
        for name in (first, second)
    ]
    return translate("CompareView", "They disagree: A {0}, B {1}.").format(*texts)
