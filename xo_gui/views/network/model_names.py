"""What the models on the screen are called, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from engine.nn.inference import UNSURE, Reading
from engine.nn.model import Subject
from engine.runtime.training_protocol import Training

LETTERS = ("A", "B")


def called(subject: Subject, training: Training | None = None, live: bool = False) -> str:
    """What a subject is called where there are two: its name, and the moment of training that it is. live: whether
    its parameters are those that training has, or looks back at."""
    if live and training is not None and 0 <= training.shown.branch < len(training.branches):
        at = training.shown
        moment = _tr("step {0} of {1}").format(at.step, training.branches[at.branch].name)
    else:
        moment = str(subject.origin.get("moment", ""))
    return f"{subject.name} · {moment}" if moment else subject.name


def names(readings: Sequence[Reading], training: Training | None, live: bool) -> tuple[str, ...]:
    """What each is called; live: whether the first has training's parameters."""
    return tuple(called(one.subject, training, live and not at) for at, one in enumerate(readings))


def agreement(readings: Sequence[Reading]) -> str:
    """Whether two networks say the same of the drawing; "" for one, or where one of them cannot say."""
    if len(readings) != 2:
        return ""
    first, second = (reading.verdict for reading in readings)
    if readings[0].subject.network.classes != readings[1].subject.network.classes:
        return _tr("They tell other things apart.")
    if first == second:
        return _tr("Neither is sure.") if first == UNSURE else _tr("Both say {0}.").format(first)
    said = [_tr("is unsure") if each == UNSURE else _tr("says {0}").format(each) for each in (first, second)]
    return _tr("They disagree: A {0}, B {1}.").format(*said)


def _tr(text: str) -> str:
    return QCoreApplication.translate("CompareView", text)
