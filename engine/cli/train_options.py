"""Task: what `xo train` was asked for, made from the words of the command line or from a checkpoint file."""

from __future__ import annotations

import argparse
import math
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from engine.data.augmentation import Augmentation, source_of
from engine.data.dataset import Examples
from engine.data.files import read_examples
from engine.data.pool import Fixed, Generated, Pool, PoolSettings, Source
from engine.data.xo.generator import CLASSES
from engine.data.xo.settings import XOSettings
from engine.documents.model_file import load_model
from engine.documents.presets import DEFAULT, PRESETS, preset
from engine.documents.training_file import FileData, InterruptedRun, load_checkpoint
from engine.formats.atomic_file import shown
from engine.nn.layers import ShapeError, Values, shape_text
from engine.nn.network import Network
from engine.training.checkpoint import Checkpoint
from engine.training.optimizers import OPTIMIZERS, SGD, Optimizer
from engine.training.recipe import SCHEDULES, Recipe, Schedule, part

Chosen = TypeVar("Chosen")
_SWITCHES: Final = {"yes": True, "no": False}
DRAWINGS: Final = "xo"  # what the generator's settings begin with


def optimizer_from(text: str) -> Optimizer:
    """`sgd`, `adamw:decay=0.1`. Raises ValueError with one sentence."""
    return _chosen("optimizer", OPTIMIZERS, text)


def schedule_from(text: str) -> Schedule:
    """`cosine:final=0.01`. Raises ValueError with one sentence."""
    return _chosen("schedule", SCHEDULES, text)


def with_momentum(optimizer: Optimizer, momentum: float) -> Optimizer:
    """Raises ValueError for an optimizer that has none."""
    if not isinstance(optimizer, SGD):
        raise ValueError(f"Momentum belongs to sgd, not to {optimizer.kind}; add --optimizer sgd, or leave it out.")
    return replace(optimizer, momentum=momentum)


def is_drawings(text: str) -> bool:
    """Whether --data means generated drawings, and no file: `xo`, `xo:size=0.3..0.9`."""
    return text == DRAWINGS or text.startswith(f"{DRAWINGS}:")


def drawings_from(text: str, usual: XOSettings) -> XOSettings:
    """`xo:size=0.3..0.9,neither=0.25`, a range also as one number, and what it does not say as usual.

    Raises ValueError with one sentence.
    """
    given = _named("drawings", text.partition(":")[2])
    for name, value in given.items():
        # One number where a range is meant stands for itself alone.
        if isinstance(getattr(usual, name, None), tuple) and isinstance(value, str):
            given[name] = [value, value]
    read = part("drawings", XOSettings, given, strict=False)
    return replace(usual, **{name: getattr(read, name) for name in given})


def augmentation_from(text: str) -> Augmentation:
    """`shift=0.1,flip=yes`. Raises ValueError with one sentence."""
    given = {name: _SWITCHES.get(str(value), value) for name, value in _named("augmentation", text).items()}
    return part("augmentation", Augmentation, given, strict=False)


def _chosen(name: str, table: Mapping[str, type[Chosen]], text: str) -> Chosen:
    kind, _, settings = text.partition(":")
    if kind not in table:
        raise ValueError(f"There is no {name} called {kind!r}; there are {', '.join(table)}.")
    given = {name: _SWITCHES.get(str(value), value) for name, value in _named(name, settings).items()}
    return part(name, table[kind], given, strict=False)


def _named(what: str, text: str) -> dict[str, str | list[str]]:
    """`a=1,b=0.2..0.3` as words by name, a range as its two ends."""
    found: dict[str, str | list[str]] = {}
    for item in text.split(",") if text else ():
        name, equals, value = item.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not value:
            raise ValueError(f"The {what} cannot be told from {item!r}; write NAME=VALUE or NAME=LOW..HIGH.")
        if name in found:
            raise ValueError(f"The {what} are told {name} twice; leave one out.")
        found[name] = value.split("..") if ".." in value else value
    return found


HELD_OUT: Final = 0.2  # of examples from files
ROOM: Final = 1 << 30  # bytes that the drawings of an epoch, or those held out, may take
MODEL, CHECKPOINT = ".safetensors", ".checkpoint"

# Told what is being done, reading or drawing, and for how many pictures of how many.
Progress = Callable[[str, int, int], None]

# Options that are settings of a Recipe by the same name.
_PLAIN = (
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
class Material:
    """What a run learns from: source; held_out: None where no examples are held out; data: the files they come
    from, None for drawings."""

    source: Source
    held_out: Examples | None
    classes: tuple[str, ...]
    data: FileData | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """A run to be made or gone on with.

    name: what the network is called. commands: the words it was begun with, and those that changed it since. out:
    the model file. start: parameters to begin with, None for fresh ones. checkpoint: where the run stands. resumed:
    the file it goes on from.
    """

    name: str
    network: Network
    recipe: Recipe
    material: Material
    commands: tuple[str, ...]
    out: Path
    start: Values | None = None
    checkpoint: Checkpoint | None = None
    resumed: Path | None = None

    @property
    def aside(self) -> Path:
        """Where the run is kept while it is not done."""
        return self.out.with_suffix(CHECKPOINT)

    def at(self, checkpoint: Checkpoint) -> InterruptedRun:
        """The task as it is kept in a file."""
        return InterruptedRun(self.name, self.network, self.recipe, checkpoint, self.commands, self.material.data)


def task_of(args: argparse.Namespace, progress: Progress) -> Task:
    """The task that the words mean. progress: told how far the pictures are. Raises ValueError."""
    return _begun(args, progress) if args.resume is None else _resumed(args, progress)


def _begun(args: argparse.Namespace, progress: Progress) -> Task:
    _check_place(args.out)
    if args.out.with_suffix(CHECKPOINT).exists():
        kept = args.out.with_suffix(CHECKPOINT)
        raise ValueError(
            f"{shown(kept)} holds a run that was interrupted; go on with it by xo train --resume "
            f"{shlex.quote(str(kept))}, or remove it first."
        )
    name, network, recipe, start = _network(args)
    recipe = _recipe(recipe, args)
    network.places(recipe.frozen)
    if args.data is None or is_drawings(args.data):
        if args.augment is not None:
            raise ValueError("--augment is for pictures from files; drawings differ as their settings say.")
        recipe = replace(recipe, data=drawings_from(args.data or DRAWINGS, recipe.data))
        if args.hold_out is not None:
            recipe = replace(recipe, held_out=round(_times(args.hold_out) * recipe.examples))
        recipe = replace(recipe, data=replace(recipe.data, side=_side(network)))
        material = _drawings(recipe, progress)
    else:
        if args.examples is not None:
            raise ValueError("--examples is for generated drawings; leave it out where --data names a file.")
        if args.data_seed is not None:
            raise ValueError("--data-seed is for generated drawings; leave it out where --data names a file.")
        if args.fixed:
            raise ValueError("--fixed is for generated drawings; examples from files are the same anyway.")
        share = _share(HELD_OUT if args.hold_out is None else args.hold_out)
        material = _files(FileData(os.path.abspath(args.data), share, ""), network, recipe, progress)
    network, start = _for_classes(network, material.classes, start, recipe.seed)
    return Task(name, network, recipe, material, (_command(args, recipe),), args.out, start)


def _resumed(args: argparse.Namespace, progress: Progress) -> Task:
    run = load_checkpoint(args.resume)
    out = args.resume.with_suffix(MODEL) if args.out is None else args.out
    _check_place(out)
    recipe, data = _recipe(run.recipe, args), run.data
    if args.data is not None and (data is None or is_drawings(args.data)):
        raise ValueError("--data with --resume says where the files of the run are now, and this run has none.")
    if data is None:
        material = _drawings(recipe, progress)
    else:
        place = data if args.data is None else replace(data, path=os.path.abspath(args.data))
        material = _files(place, run.network, recipe, progress)
        if material.data is None or material.data.digest != data.digest:
            raise ValueError(
                f"The examples in {shown(place.path)} are no longer those the run began with; put them back, or "
                "begin a new run."
            )
    changed = [f"--{name} {getattr(args, name)}" for name in _given(args) if name in (*_PLAIN, "rate")]
    step = run.checkpoint.steps
    commands = (*run.commands, f"at step {step}: {' '.join(changed)}") if changed else run.commands
    return Task(run.name, run.network, recipe, material, commands, out, None, run.checkpoint, args.resume)


# --- the parts


def _network(args: argparse.Namespace) -> tuple[str, Network, Recipe, Values | None]:
    """The network, what it is called, how it usually learns, and its weights if it has some to start from."""
    if args.model is not None:
        if args.recipe is not None:
            raise ValueError("--recipe is for presets; leave it out, and give the settings one by one.")
        subject = load_model(args.model)
        assert DEFAULT.recipe is not None
        start = None if args.from_scratch else dict(subject.parameters)
        return subject.name, subject.network, DEFAULT.recipe, start
    if args.from_scratch:
        raise ValueError("--from-scratch goes with --model; a preset's network starts from fresh weights anyway.")
    chosen = preset(args.preset or DEFAULT.name)
    if chosen.recipe is None:
        raise ValueError(f"The network {chosen.name} has nothing to train: its features are made by hand.")
    if args.recipe is not None and args.recipe not in chosen.others:
        others = ", ".join(chosen.others) or "no other"
        raise ValueError(f"The network {chosen.name} has no recipe called {args.recipe!r}; it has {others}.")
    recipe = chosen.recipe if args.recipe is None else chosen.others[args.recipe]
    return chosen.title, chosen.network, recipe, None


def _recipe(recipe: Recipe, args: argparse.Namespace) -> Recipe:
    """The recipe with what was given instead."""
    optimizer = recipe.optimizer if args.optimizer is None else optimizer_from(args.optimizer)
    if args.momentum is not None:
        optimizer = with_momentum(optimizer, args.momentum)
    if args.rate is not None:
        optimizer = replace(optimizer, rate=args.rate)
    given: dict[str, Any] = {name: getattr(args, name) for name in _PLAIN if getattr(args, name) is not None}
    if args.augment is not None:
        given["augmentation"] = augmentation_from(args.augment)
    if args.schedule is not None:
        given["schedule"] = schedule_from(args.schedule)
    if args.freeze is not None:
        given["frozen"] = tuple(name.strip() for name in args.freeze.split(","))
    if args.fixed:
        given["fresh"] = False
    return replace(recipe, optimizer=optimizer, **given)


def _drawings(recipe: Recipe, progress: Progress) -> Material:
    for count in (recipe.examples, recipe.held_out):
        if 4 * count * recipe.data.side**2 > ROOM:
            raise ValueError(
                f"{count:,} drawings of {recipe.data.side} × {recipe.data.side} pixels take more than 1 GiB; make "
                "fewer with --examples."
            )
    if not recipe.fresh:
        return _fixed(recipe, progress)
    source = Generated(recipe.data, recipe.examples, recipe.drawn_by)
    progress("drawing", 0, recipe.held_out)
    return Material(source, source.held_out(recipe.held_out) if recipe.held_out else None, CLASSES)


def _fixed(recipe: Recipe, progress: Progress) -> Material:
    """The drawings that a window learns from: a Pool's, the same in every epoch."""
    total = recipe.examples + recipe.held_out
    # A pool always judges by something; here it may be left out.
    pool = Pool(PoolSettings(recipe.data, recipe.examples, max(1, recipe.held_out), recipe.drawn_by))
    while pool.done < 1:
        progress("drawing", round(pool.done * total), total)
        pool.grow()
    return Material(Fixed(pool.training), pool.held_out if recipe.held_out else None, CLASSES)


def _files(data: FileData, network: Network, recipe: Recipe, progress: Progress) -> Material:
    """The examples in files: to learn from, and held out."""
    given = read_examples(Path(data.path), network.input_shape, partial(progress, "reading"))
    learnt, held_out = given.split(data.hold_out, recipe.seed)
    if not len(learnt):
        raise ValueError(f"Nothing is left to learn from in {shown(data.path)}; hold a smaller share out.")
    source = source_of(learnt, recipe.augmentation, recipe.seed)
    return Material(source, held_out if len(held_out) else None, given.classes, replace(data, digest=given.digest))


def _for_classes(
    network: Network, classes: tuple[str, ...], start: Values | None, seed: int
) -> tuple[Network, Values | None]:
    """The network with the data's classes, and the weights it has to start from, fresh where they no longer fit."""
    fitted = network.with_classes(classes)
    if start is None or fitted.layers == network.layers:
        return fitted, start
    fresh = fitted.initial(seed)
    return fitted, {
        name: start[name] if start[name].shape == values.shape else values for name, values in fresh.items()
    }


def _side(network: Network) -> int:
    """The side of the drawings that it reads. Raises ShapeError if it reads none."""
    channels, height, width = network.input_shape
    if channels != 1 or height != width:
        raise ShapeError(
            f"Generated drawings are one square map, but the network reads {shape_text(network.input_shape)}; give "
            "it pictures with --data."
        )
    return height


def _times(times: float) -> float:
    """Of drawings as many may be held out as one likes: they are made for it."""
    if not 0 <= times < math.inf:
        raise ValueError(f"The share that is held out must be at least 0, not {times:g}.")
    return times


def _share(share: float) -> float:
    if not 0 <= share < 1:
        raise ValueError(f"The share that is held out must be at least 0 and below 1, not {share:g}.")
    return share


def _check_place(out: Path) -> None:
    """Raises ValueError before hours of training, and not after them, if a model cannot be written there."""
    if out.suffix != MODEL:
        raise ValueError(f"{shown(out)} cannot hold a model: give --out a name that ends in {MODEL}.")
    if out.is_dir():
        raise ValueError(f"{shown(out)} is a folder; give --out the name of a file.")
    if not out.parent.is_dir():
        raise ValueError(f"{shown(out)} cannot be written: its folder does not exist; make it first.")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"{shown(out)} cannot be written: writing there is not allowed; choose another folder.")


def _given(args: argparse.Namespace) -> list[str]:
    return [name for name, value in vars(args).items() if value not in (None, False)]


def _command(args: argparse.Namespace, recipe: Recipe) -> str:
    """The words that make this run again, without folders, in which nothing may depend."""
    words = ["xo", "train", "--seed", str(recipe.seed)]
    if args.model is None:
        words += ["--preset", args.preset or DEFAULT.name]
    of_data, of_steps = ("data", "hold_out", "augment"), ("optimizer", "rate", "momentum", "schedule", "freeze")
    for name in ("model", "recipe", *of_data, *of_steps, *_PLAIN, "out"):
        value = getattr(args, name)
        if value is None or name == "seed":
            continue
        is_path = isinstance(value, Path) or (name == "data" and not is_drawings(value))
        words += [f"--{name.replace('_', '-')}", Path(value).name if is_path else str(value)]
    words += [f"--{name.replace('_', '-')}" for name in ("from_scratch", "fixed") if getattr(args, name)]
    return shlex.join(words)


# Options that are told only where they are not what the command would take anyway, and how each is called.
_UNLESS_USUAL: Final = ("l2", "clip", "steps", "patience", "target", "seconds")


def words_of(recipe: Recipe, start: Sequence[str]) -> list[str]:
    """What follows `xo train`. recipe: its drawings are a pool's, whatever `fresh` says. start: what says which
    network and weights to begin with: --preset NAME, or --model FILE, maybe with --from-scratch.

    Raises ValueError for a recipe that the words cannot tell: without a limit that the preset's recipe has.
    """
    usual = _usual(start)
    words = [*start, "--seed", str(recipe.seed)]
    if recipe.data_seed is not None:
        words += ["--data-seed", str(recipe.data_seed)]
    words += ["--fixed"]
    words += ["--examples", str(recipe.examples), "--hold-out", repr(recipe.held_out / recipe.examples)]
    if drawn := _settings(recipe.data, usual.data, leave_out="side"):
        words += ["--data", f"{DRAWINGS}:{drawn}"]
    words += ["--optimizer", _part(recipe.optimizer), "--schedule", _part(recipe.schedule)]
    words += ["--batch", str(recipe.batch), "--epochs", str(recipe.epochs)]
    for name in _UNLESS_USUAL:
        value = getattr(recipe, name)
        if value is None and getattr(usual, name) is not None:
            raise ValueError(f"xo train has no word for a run without {name}.")
        if value is not None and value != getattr(usual, name):
            words += [f"--{name}", _number(value)]
    return words + (["--freeze", ",".join(recipe.frozen)] if recipe.frozen else [])


def _usual(start: Sequence[str]) -> Recipe:
    """The recipe that the command begins with before it hears of settings."""
    chosen = PRESETS[start[1]] if start[0] == "--preset" else DEFAULT
    if chosen.recipe is None:
        raise ValueError(f"The network {chosen.name} has nothing to train: its features are made by hand.")
    return chosen.recipe


def _part(part: Optimizer | Schedule) -> str:
    """`adamw:rate=0.003,decay=0.02`: every setting that is not its kind's own."""
    told = _settings(part, type(part)())
    return f"{part.kind}:{told}" if told else part.kind


def _settings(part: Optimizer | Schedule | XOSettings, usual: Any, leave_out: str = "") -> str:
    told = {each.name: getattr(part, each.name) for each in fields(part) if each.name != leave_out}
    return ",".join(f"{name}={_number(value)}" for name, value in told.items() if value != getattr(usual, name))


def _number(value: object) -> str:
    """As the settings are read: yes and no, and a range as its two ends; no digit is lost."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "..".join(map(repr, value)) if isinstance(value, tuple) else repr(value)
