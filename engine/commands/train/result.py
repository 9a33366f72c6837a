"""Result: what came of a run: how its network reads what was held out, when it is unsure, and its model file."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from engine.backends.backend import Backend
from engine.calibration import Calibration, calibrate
from engine.commands.train.task import Task
from engine.document import Subject
from engine.evaluation import Score, judge
from engine.layers import Values
from engine.losses import softmax
from engine.storage.models import save_model


@dataclass(frozen=True, eq=False)
class Result:
    """score: on the held-out examples, None where there are none. calibration: None where they do not hold every
    class and "neither", and nothing says when to be unsure."""

    parameters: Values
    score: Score | None
    calibration: Calibration | None


def result_of(task: Task, parameters: Values, backend: Backend) -> Result:
    """Read what is held out, and choose the threshold of "unsure"."""
    held_out, classes = task.material.held_out, task.network.classes
    if held_out is None:
        return Result(parameters, None, None)
    judged = judge(task.network, parameters, held_out, backend)
    found = None
    if set(range(-1, len(classes))) <= set(held_out.labels.tolist()) and np.isfinite(judged.scores).all():
        found = calibrate(softmax(judged.scores), held_out.labels, classes)
    return Result(parameters, judged.score, found)


def save(task: Task, result: Result, backend: Backend, steps: int, ended: str) -> None:
    """Write the model file. Raises StorageError."""
    threshold = None if result.calibration is None else result.calibration.threshold
    origin = _origin(task, result, backend, steps, ended)
    save_model(task.out, Subject(task.name, task.network, result.parameters, threshold, origin))


def _origin(task: Task, result: Result, backend: Backend, steps: int, ended: str) -> dict[str, Any]:
    """What the model file says of where it comes from; nothing in it depends on when or in which folder."""
    data = task.material.data
    begun, *changed = task.commands
    origin = {
        "command": begun,
        "recipe": task.recipe.to_json(),
        "device": backend.name,
        "versions": {"xo-gui": version("xo-gui"), "numpy": np.__version__},
        "ended": ended,
        "steps": steps,
    }
    if changed:
        origin["changed"] = changed
    if data is not None:
        origin["data"] = {"hold_out": data.hold_out, "sha256": data.digest}
    return origin | ({} if result.score is None else {"held_out": judged(result.score, result.calibration)})


def judged(score: Score, found: Calibration | None) -> dict[str, Any]:
    """A judgement as plain values: null for what there was no example of."""
    told = {
        "loss": rounded(score.loss, 6),
        "accuracy": rounded(score.accuracy),
        "by_class": {name: rounded(share) for name, share in score.by_class.items()},
        "confusion": score.confusion.tolist(),
    }
    if found is not None:
        told["named"] = {name: rounded(share) for name, share in found.named.items()}
        told["wrong"] = rounded(found.wrong)
    return told


def rounded(value: float, digits: int = 5) -> float | None:
    """A number that JSON can hold."""
    return round(value, digits) if np.isfinite(value) else None
