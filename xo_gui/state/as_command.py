"""The `xo train` command that reproduces the weights shown in the window, and what it does not include."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.cli import command_arguments
from engine.data import PoolSettings, TrainingData, kind_of
from engine.documents import PRESETS
from engine.nn import Model, RunPoint
from engine.runtime import TrainingReport
from engine.training import (
    Branch,
    BranchOrigin,
    TrainingConfig,
    ancestry,
    configs_up_to,
    describe_changes,
    without_stop_conditions,
)
from xo_gui.app import translate
from xo_gui.state.commands import TrainingSettings


@dataclass(frozen=True)
class TrainCommandLine:
    """A shell command for a training run.

    command: one line for a shell.
    step: the step whose weights it reproduces; None for the whole run that has not begun.
    missing: what the command does not include, a few words each.
    """

    command: str
    step: int | None
    missing: tuple[str, ...]


def command_of_new_run(
    model: Model, settings: TrainingSettings, training_data: TrainingData, device: str
) -> TrainCommandLine:
    """The command of the run that Start would begin. Raises ValueError if `xo train` cannot express it."""
    return _command_line(model, settings.config, BranchOrigin(training_data, None), None, [], device)


def command_of_run(model: Model, training: TrainingReport, device: str) -> TrainCommandLine:
    """The command that reproduces the weights shown. Raises ValueError if `xo train` cannot express it."""
    at = training.shown_point
    if not at.step:
        raise ValueError(
            translate(
                "AsCommand",
                "No xo train makes these weights: they are those before the first step. Go to a later one.",
            )
        )
    path, configs = ancestry(training.branches, at), configs_up_to(training.branches, at)
    changes_made = [*_config_changes(configs), *_data_changes(training.branches, training.branch_origins, path)]
    origin = training.branch_origins[path[0].branch]
    return _command_line(model, configs[0][1], origin, at.step, changes_made, device)


def _check(model: Model, data: PoolSettings) -> None:
    """Raises ValueError for a network with other classes than its generated examples."""
    if model.network.classes != data.classes or kind_of(data.generator).varies_labelled:
        message = translate(
            "AsCommand", "{0} has the classes {1}, which no drawing is: give xo train its own pictures with --data."
        )
        raise ValueError(message.format(model.name, translate("AsCommand", " and ").join(model.network.classes)))


def _command_line(
    model: Model,
    config: TrainingConfig,
    origin: BranchOrigin,
    step: int | None,
    changes_made: Sequence[str],
    device: str,
) -> TrainCommandLine:
    if step is not None:  # exactly this step, whatever stop condition ended the run
        config = replace(without_stop_conditions(config), steps=step)
    data = origin.training_data.generated
    _check(model, data)
    config = replace(config, data=data.generator, examples=data.count, held_out=data.held_out, fresh=data.fresh)
    config = replace(config, data_seed=None if data.seed == config.seed else data.seed)
    start, missing = _start(model, origin)
    arguments = [
        "xo",
        "train",
        *command_arguments(config, start),
        "--device",
        device,
        "--out",
        "trained.safetensors",
    ]
    missing += changes_made
    if own := origin.training_data.count - origin.training_data.generated_count:
        missing.insert(0, translate("AsCommand", "your own drawings ({0} of the examples)").format(own))
    return TrainCommandLine(shlex.join(arguments), step, tuple(missing))


def _start(model: Model, origin: BranchOrigin) -> tuple[list[str], list[str]]:
    """The arguments that name the initial weights, and what they need that the command does not include."""
    presets = [name for name, known in PRESETS.items() if known.config and known.network == model.network]
    if presets and origin.initial_model is None:
        return ["--preset", presets[0]], []
    file = f"{origin.initial_model or model.name}.safetensors"
    if origin.initial_model is None:
        network = translate("AsCommand", "the network, which it reads from {0}: save it there first").format(file)
        return ["--model", file, "--from-scratch"], [network]
    return ["--model", file], [translate("AsCommand", "the initial weights, which it reads from {0}").format(file)]


def _config_changes(configs: Sequence[tuple[int, TrainingConfig]]) -> list[str]:
    """Changes of the hyperparameters along the way; stop conditions are left out, as they do not affect weights."""
    found, (_, before) = [], configs[0]
    for step, config in configs[1:]:
        if text := ", ".join(describe_changes(without_stop_conditions(before), without_stop_conditions(config))):
            found.append(translate("AsCommand", "the change at step {0}: {1}").format(step, text))
        before = config
    return found


def _data_changes(
    branches: Sequence[Branch], origins: Sequence[BranchOrigin], path: Sequence[RunPoint]
) -> list[str]:
    """Branches along the way that trained on other examples."""
    found, before = [], origins[path[0].branch].training_data
    for at in path[1:]:
        training_data = origins[at.branch].training_data
        if training_data != before:
            found.append(
                translate("AsCommand", "the other examples from step {0} on").format(branches[at.branch].start)
            )
        before = training_data
    return found
