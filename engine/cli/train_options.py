"""TrainJob: what `xo train` is to do, from the command's arguments or a checkpoint file; and back to arguments."""

from __future__ import annotations

import argparse
import math
import os
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from engine.data import (
    DATA_KINDS,
    INPUT_GROUP,
    Augmentation,
    DataKind,
    Dataset,
    DataSettings,
    DataSource,
    ExamplePool,
    FixedSource,
    GeneratedSource,
    PoolSettings,
    generated_kinds,
    generating_kind,
    kind_of,
    make_source,
    read_dataset,
)
from engine.documents import DEFAULT, PRESETS, SUFFIX, FileData, InterruptedRun, load_checkpoint, load_model, preset
from engine.form_fields import form_fields_of, settings_from
from engine.formats import quoted
from engine.nn import Network
from engine.nn.layers import Arrays, shape_text
from engine.training import (
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Checkpoint,
    Optimizer,
    Schedule,
    TrainingConfig,
)

Chosen = TypeVar("Chosen")
_SWITCHES: Final = {"yes": True, "no": False}


def parse_optimizer(text: str) -> Optimizer:
    """Parse `sgd` or `adamw:decay=0.1`. Raises ValueError with one sentence."""
    return _parse_part("optimizer", OPTIMIZERS, text)


def parse_schedule(text: str) -> Schedule:
    """Parse `cosine:final=0.01`. Raises ValueError with one sentence."""
    return _parse_part("schedule", SCHEDULES, text)


def with_momentum(optimizer: Optimizer, momentum: float) -> Optimizer:
    """The optimizer with this momentum. Raises ValueError for an optimizer without momentum."""
    if not isinstance(optimizer, SGD):
        raise ValueError(f"Only sgd has momentum, not {optimizer.kind}; add --optimizer sgd, or leave it out.")
    return replace(optimizer, momentum=momentum)


def generated_kind(text: str) -> DataKind[Any, Any] | None:
    """The kind of examples that --data means: `xo`, `xo:size=0.3..0.9`; None for files, which come first."""
    name = text.partition(":")[0]
    return DATA_KINDS[name] if name in generated_kinds() and not os.path.lexists(text) else None


def parse_data_settings(text: str, default: DataSettings) -> DataSettings:
    """Parse `xo:size=0.3..0.9,neither=0.25`; default: other settings, if they are of the same kind. Raises
    ValueError with one sentence."""
    name, _, settings = text.partition(":")
    kind = DATA_KINDS[name]
    if default.kind != name:
        default = kind.default_settings()
    given = _parse_settings(kind.noun, settings)
    for key, value in given.items():
        # One number is a range of itself.
        if isinstance(getattr(default, key, None), tuple) and isinstance(value, str):
            given[key] = [value, value]
    read = settings_from(kind.noun, type(default), given, strict=False)
    changes: dict[str, Any] = {key: getattr(read, key) for key in given}
    return replace(default, **changes)


def parse_augmentation(text: str) -> Augmentation:
    """Parse `shift=0.1,flip=yes`. Raises ValueError with one sentence."""
    given = {
        name: _SWITCHES.get(str(value), value) for name, value in _parse_settings("augmentation", text).items()
    }
    return settings_from("augmentation", Augmentation, given, strict=False)


def _parse_part(name: str, table: Mapping[str, type[Chosen]], text: str) -> Chosen:
    kind, _, settings = text.partition(":")
    if kind not in table:
        raise ValueError(f"There is no {name} called {kind!r}; there are {', '.join(table)}.")
    given = {name: _SWITCHES.get(str(value), value) for name, value in _parse_settings(name, settings).items()}
    return settings_from(name, table[kind], given, strict=False)


def _parse_settings(what: str, text: str) -> dict[str, str | list[str]]:
    """`a=1,b=0.2..0.3` as strings by name, a range as its two ends."""
    settings: dict[str, str | list[str]] = {}
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not value:
            raise ValueError(f"The {what} setting {item!r} is incomplete; write NAME=VALUE or NAME=LOW..HIGH.")
        if name in settings:
            raise ValueError(f"The {what} setting {name} is given twice; leave one out.")
        settings[name] = value.split("..") if ".." in value else value
    return settings


DEFAULT_HELD_OUT: Final = 0.2  # of examples from files
MAX_GENERATED_BYTES: Final = 1 << 30  # bytes of the generated examples of an epoch, or of the held-out ones
MODEL_SUFFIX, CHECKPOINT_SUFFIX = ".safetensors", ".checkpoint"

# Called with what is being done, "reading" or "drawing", the number of pictures done, and the total.
ProgressCallback = Callable[[str, int, int], None]

# Options that are fields of a TrainingConfig with the same name.
_CONFIG_OPTIONS = (
    "batch",
    "epochs",
    "examples",
    "l2",
    "clip",
    "steps",
    "patience",
    "target",
    "seconds",
    "seed",
    "data_seed",
)


@dataclass(frozen=True, eq=False)
class JobData:
    """The data of a run.

    source: the training examples of each epoch.
    held_out: None if no examples are held out.
    files: that the examples come from, None for drawings.
    notes: sentences on the examples that the user should know.
    """

    source: DataSource
    held_out: Dataset | None
    classes: tuple[str, ...]
    files: FileData | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainJob:
    """A training run to start or resume.

    name: of the network.
    commands: the command that started the run, and the options that changed it since.
    out: the model file.
    start: initial parameters, None for fresh ones.
    checkpoint: the state to resume from.
    resumed_from: the checkpoint file.
    project: the project file to write, None for none.
    """

    name: str
    network: Network
    config: TrainingConfig
    data: JobData
    commands: tuple[str, ...]
    out: Path
    start: Arrays | None = None
    checkpoint: Checkpoint | None = None
    resumed_from: Path | None = None
    project: Path | None = None

    @property
    def checkpoint_path(self) -> Path:
        """The file to which the run is saved until it is finished."""
        return self.out.with_suffix(CHECKPOINT_SUFFIX)

    def interrupted_run(self, checkpoint: Checkpoint) -> InterruptedRun:
        """The job as it is saved in a checkpoint file."""
        return InterruptedRun(self.name, self.network, self.config, checkpoint, self.commands, self.data.files)


def train_job(args: argparse.Namespace, progress: ProgressCallback) -> TrainJob:
    """The job of these arguments. progress: called while pictures are read or drawn. Raises ValueError."""
    return _new_job(args, progress) if args.resume is None else _resumed_job(args, progress)


def _new_job(args: argparse.Namespace, progress: ProgressCallback) -> TrainJob:
    _check_writable(args.out)
    if args.project is not None:
        _check_writable(args.project, SUFFIX, "project", "--project")
    checkpoint = args.out.with_suffix(CHECKPOINT_SUFFIX)
    if checkpoint.exists():
        raise ValueError(
            f"{quoted(checkpoint)} holds an interrupted run; resume it with xo train --resume "
            f"{shlex.quote(str(checkpoint))}, or remove it first."
        )
    name, network, config, start = _network(args)
    config = _config(config, args)
    network.layer_indices(config.frozen)
    if args.data is None or generated_kind(args.data) is not None:
        if args.augment is not None:
            raise ValueError("--augment is for pictures from files; the settings of --data vary the drawings.")
        if args.data is not None:
            config = replace(config, data=parse_data_settings(args.data, config.data))
        if args.hold_out is not None:
            config = replace(config, held_out=round(_check_multiple(args.hold_out) * config.examples))
        fitted = kind_of(config.data).with_input_shape(config.data, network.input_shape)
        config = replace(config, data=fitted)
        data = _generated(config, progress)
    else:
        if args.examples is not None:
            raise ValueError("--examples is for generated drawings; leave it out if --data names a file.")
        if args.data_seed is not None:
            raise ValueError("--data-seed is for generated drawings; leave it out if --data names a file.")
        if args.fixed:
            raise ValueError("--fixed is for generated drawings; examples from files are always fixed.")
        share = _check_share(DEFAULT_HELD_OUT if args.hold_out is None else args.hold_out)
        data = _files(FileData(os.path.abspath(args.data), share, ""), network, config, progress)
    network, start = _for_classes(network, data.classes, start, config.seed)
    commands = (_command(args, config),)
    return TrainJob(name, network, config, data, commands, args.out, start, project=args.project)


def _resumed_job(args: argparse.Namespace, progress: ProgressCallback) -> TrainJob:
    run = load_checkpoint(args.resume)
    out = args.resume.with_suffix(MODEL_SUFFIX) if args.out is None else args.out
    _check_writable(out)
    config, original = _config(run.config, args), run.data
    if args.data is not None and (original is None or generated_kind(args.data) is not None):
        raise ValueError("--data with --resume names the new path of the run's files, and this run has none.")
    if original is None:
        data = _generated(config, progress)
    else:
        files = original if args.data is None else replace(original, path=os.path.abspath(args.data))
        data = _files(files, run.network, config, progress)
        if data.files is None or data.files.digest != original.digest:
            raise ValueError(
                f"The examples in {quoted(files.path)} are no longer those the run started with; restore them, or "
                "start a new run."
            )
    changed = [f"--{name} {getattr(args, name)}" for name in _given(args) if name in (*_CONFIG_OPTIONS, "rate")]
    step = run.checkpoint.steps
    commands = (*run.commands, f"at step {step}: {' '.join(changed)}") if changed else run.commands
    return TrainJob(run.name, run.network, config, data, commands, out, None, run.checkpoint, args.resume)


def _network(args: argparse.Namespace) -> tuple[str, Network, TrainingConfig, Arrays | None]:
    """Name, network, default configuration, and initial parameters, None for fresh ones."""
    if args.model is not None:
        if args.recipe is not None:
            raise ValueError("--recipe is for presets; leave it out, and give the settings one by one.")
        model = load_model(args.model)
        start = None if args.from_scratch else dict(model.parameters)
        return model.name, model.network, _model_config(model.network), start
    if args.from_scratch:
        raise ValueError("--from-scratch is for --model; a preset's network always starts from fresh weights.")
    chosen = preset(args.preset or DEFAULT.name)
    if chosen.config is None:
        raise ValueError(f"The network {chosen.name} has nothing to train: its features are made by hand.")
    if args.recipe is not None and args.recipe not in chosen.other_configs:
        others = ", ".join(chosen.other_configs) or "no other"
        raise ValueError(f"The network {chosen.name} has no recipe called {args.recipe!r}; it has {others}.")
    config = chosen.config if args.recipe is None else chosen.other_configs[args.recipe]
    return chosen.title, chosen.network, config, None


def _model_config(network: Network) -> TrainingConfig:
    """The default configuration for a network from a file: with data of its own kind, if there is one."""
    assert DEFAULT.config is not None
    kind = generating_kind(network)
    if kind is None or kind.name == DEFAULT.config.data.kind:
        return DEFAULT.config
    return replace(DEFAULT.config, data=kind.default_settings())


def _config(config: TrainingConfig, args: argparse.Namespace) -> TrainingConfig:
    """The configuration with the given options replaced."""
    optimizer = config.optimizer if args.optimizer is None else parse_optimizer(args.optimizer)
    if args.momentum is not None:
        optimizer = with_momentum(optimizer, args.momentum)
    if args.rate is not None:
        optimizer = replace(optimizer, rate=args.rate)
    given: dict[str, Any] = {
        name: getattr(args, name) for name in _CONFIG_OPTIONS if getattr(args, name) is not None
    }
    if args.augment is not None:
        given["augmentation"] = parse_augmentation(args.augment)
    if args.schedule is not None:
        given["schedule"] = parse_schedule(args.schedule)
    if args.freeze is not None:
        given["frozen"] = tuple(name.strip() for name in args.freeze.split(","))
    if args.fixed:
        given["fresh"] = False
    return replace(config, optimizer=optimizer, **given)


def _generated(config: TrainingConfig, progress: ProgressCallback) -> JobData:
    kind = kind_of(config.data)
    shape, classes = kind.input_shape(config.data), kind.classes(config.data)
    for count in (config.examples, config.held_out):
        if 4 * count * math.prod(shape) > MAX_GENERATED_BYTES:
            raise ValueError(
                f"{count:,} {kind.plural} of {shape_text(shape)} take more than 1 GiB; reduce their number with "
                "--examples."
            )
    if not config.fresh:
        return _fixed(config, classes, progress)
    source = GeneratedSource(config.data, config.examples, config.example_seed)
    progress("drawing", 0, config.held_out)
    return JobData(source, source.held_out(config.held_out) if config.held_out else None, classes)


def _fixed(config: TrainingConfig, classes: tuple[str, ...], progress: ProgressCallback) -> JobData:
    """The examples that the window trains on: an ExamplePool's, the same in every epoch."""
    total = config.examples + config.held_out
    # A pool always has held-out examples; here they are optional.
    pool = ExamplePool(PoolSettings(config.data, config.examples, max(1, config.held_out), config.example_seed))
    while pool.progress < 1:
        progress("drawing", round(pool.progress * total), total)
        pool.generate_next()
    return JobData(FixedSource(pool.training), pool.held_out if config.held_out else None, classes)


def _files(data: FileData, network: Network, config: TrainingConfig, progress: ProgressCallback) -> JobData:
    """The examples of files, split into training and held-out ones."""
    notes: list[str] = []
    dataset = read_dataset(Path(data.path), network.input_shape, partial(progress, "reading"), notes.append)
    training, held_out = dataset.split(data.hold_out, config.seed)
    if not len(training):
        raise ValueError(f"No examples are left to train on in {quoted(data.path)}; hold out a smaller share.")
    source = make_source(training, config.augmentation, config.seed)
    files = replace(data, digest=dataset.digest)
    if data.hold_out:
        notes += [_single_note(data.path, name) for name in dataset.single_classes]
    return JobData(source, held_out if len(held_out) else None, dataset.classes, files, tuple(notes))


def _single_note(path: str, name: str) -> str:
    return (
        f"{quoted(path)} has a single picture of {quoted(name)}: it is trained on, and no held-out picture tells "
        "the accuracy of that class; add more."
    )


def _for_classes(
    network: Network, classes: tuple[str, ...], start: Arrays | None, seed: int
) -> tuple[Network, Arrays | None]:
    """The network with the data's classes, and its initial parameters, fresh where the shapes no longer match."""
    fitted = network.with_classes(classes)
    if start is None or fitted.layers == network.layers:
        return fitted, start
    fresh = fitted.initial_parameters(seed)
    return fitted, {
        name: start[name] if start[name].shape == values.shape else values for name, values in fresh.items()
    }


def _check_multiple(multiple: float) -> float:
    """Held-out drawings are generated in addition, so that their share has no upper limit."""
    if not 0 <= multiple < math.inf:
        raise ValueError(f"The share that is held out must be at least 0, not {multiple:g}.")
    return multiple


def _check_share(share: float) -> float:
    if not 0 <= share < 1:
        raise ValueError(f"The share that is held out must be at least 0 and below 1, not {share:g}.")
    return share


def _check_writable(out: Path, suffix: str = MODEL_SUFFIX, what: str = "model", option: str = "--out") -> None:
    """Raises ValueError, before hours of training, if such a file cannot be written there."""
    if out.suffix != suffix:
        raise ValueError(f"{quoted(out)} is no name of a {what} file: give {option} a name that ends in {suffix}.")
    if out.is_dir():
        raise ValueError(f"{quoted(out)} is a folder; give {option} the name of a file.")
    if out.exists() and not out.is_file():
        raise ValueError(f"{quoted(out)} is not an ordinary file; give {option} another name.")
    if not out.parent.is_dir():
        raise ValueError(f"{quoted(out)} cannot be written: its folder does not exist; create it first.")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"{quoted(out)} cannot be written: no permission to write there; choose another folder.")


def _given(args: argparse.Namespace) -> list[str]:
    return [name for name, value in vars(args).items() if value not in (None, False)]


def _command(args: argparse.Namespace, config: TrainingConfig) -> str:
    """The command that repeats this run, without folders: the model file must not depend on them."""
    words = ["xo", "train", "--seed", str(config.seed)]
    if args.model is None:
        words += ["--preset", args.preset or DEFAULT.name]
    of_data, of_steps = ("data", "hold_out", "augment"), ("optimizer", "rate", "momentum", "schedule", "freeze")
    for name in ("model", "recipe", *of_data, *of_steps, *_CONFIG_OPTIONS, "out"):
        value = getattr(args, name)
        if value is None or name == "seed":
            continue
        is_path = isinstance(value, Path) or (name == "data" and generated_kind(value) is None)
        words += [f"--{name.replace('_', '-')}", Path(value).name if is_path else str(value)]
    words += [f"--{name.replace('_', '-')}" for name in ("from_scratch", "fixed") if getattr(args, name)]
    return shlex.join(words)


# Options that `command_arguments` omits where they have their defaults.
_OPTIONAL: Final = ("l2", "clip", "steps", "patience", "target", "seconds")


def command_arguments(config: TrainingConfig, start: Sequence[str]) -> list[str]:
    """The arguments of `xo train` for a run of the window.

    start: the network and weights to start from: --preset NAME, or --model FILE, optionally with --from-scratch.
    Raises ValueError for a configuration without a limit that the preset's configuration has: no option removes it.
    """
    default = _default_config(start)
    words = [*start, "--seed", str(config.seed)]
    if config.data_seed is not None:
        words += ["--data-seed", str(config.data_seed)]
    words += [] if config.fresh else ["--fixed"]
    words += ["--examples", str(config.examples), "--hold-out", repr(config.held_out / config.examples)]
    words += _data_arguments(config.data, default.data)
    words += ["--optimizer", _part_text(config.optimizer), "--schedule", _part_text(config.schedule)]
    words += ["--batch", str(config.batch), "--epochs", str(config.epochs)]
    for name in _OPTIONAL:
        value = getattr(config, name)
        if value is None and getattr(default, name) is not None:
            raise ValueError(f"xo train has no option for a run without {name}.")
        if value is not None and value != getattr(default, name):
            words += [f"--{name}", _value_text(value)]
    return words + (["--freeze", ",".join(config.frozen)] if config.frozen else [])


def _default_config(start: Sequence[str]) -> TrainingConfig:
    """The configuration that the command uses without further options."""
    chosen = PRESETS[start[1]] if start[0] == "--preset" else DEFAULT
    if chosen.config is None:
        raise ValueError(f"The network {chosen.name} has nothing to train: its features are made by hand.")
    return chosen.config


def _data_arguments(settings: DataSettings, default: DataSettings) -> list[str]:
    """--data, unless the settings are the default ones; what the input of the network decides is left out."""
    is_default_kind = settings.kind == default.kind
    base = default if is_default_kind else kind_of(settings).default_settings()
    decided = form_fields_of(settings, INPUT_GROUP)
    changed = _settings_text(settings, base, leave_out=decided)
    if is_default_kind and not changed:
        return []
    return ["--data", f"{settings.kind}:{changed}" if changed else settings.kind]


def _part_text(part: Optimizer | Schedule) -> str:
    """`adamw:rate=0.003,decay=0.02`: every setting that differs from its default."""
    settings = _settings_text(part, type(part)())
    return f"{part.kind}:{settings}" if settings else part.kind


def _settings_text(part: Optimizer | Schedule | DataSettings, default: Any, leave_out: Collection[str] = ()) -> str:
    values = {each.name: getattr(part, each.name) for each in fields(part) if each.name not in leave_out}
    changed = {name: value for name, value in values.items() if value != getattr(default, name)}
    return ",".join(f"{name}={_value_text(value)}" for name, value in changed.items())


def _value_text(value: object) -> str:
    """As the settings are parsed: yes and no, a range as its two ends, numbers with all digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "..".join(map(repr, value)) if isinstance(value, tuple) else repr(value)
