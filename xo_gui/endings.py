"""Endings: in words, which stop condition ended a run, and what lets it go on. It ends nothing."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from engine.runtime.training_protocol import Training


def ending(training: Training) -> str:
    """One sentence, or "" if no stop condition ended the run."""
    recipe = training.answers.recipe
    match training.ended:
        case "epochs":
            said = _tr("Epoch {0} of {0} is done: give it more epochs to go on.").format(recipe.epochs)
        case "steps":
            said = _tr("Step {0} was to be the last: raise the limit or take it away to go on.")
            said = said.format(recipe.steps)
        case "target":
            said = _tr("It reads {0} % of what is held out rightly: raise the target or take it away to go on.")
            said = said.format(f"{100 * training.accuracy:.4g}")
        case "patience":
            said = _tr("No lower error in the last {0} epochs: raise the patience or take it away to go on.")
            if recipe.patience == 1:
                said = _tr("No lower error in the last epoch: raise the patience or take it away to go on.")
            said = said.format(recipe.patience)
        case "seconds":
            said = _tr("The {0} s of training are up: give it more time or take the limit away to go on.")
            said = said.format(f"{recipe.seconds:g}")
        case None:
            said = ""
    return said


def _tr(text: str) -> str:
    return QCoreApplication.translate("Endings", text)
