"""Recipe: everything a training run is told before it starts. Not the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

import msgspec

from engine.data.augmentation import Augmentation
from engine.data.xo.settings import XOSettings
from engine.form_fields import Setting, explained, setting_of
from engine.training.optimizers import LARGEST, OPTIMIZERS, Adam, Optimizer

_FINAL = Setting("at the end", "What is left of the rate at the end of the run.", 0.01, unit="%")


@dataclass(frozen=True)
class Schedule:
    """The rate stays as it is. warmup: the share of the run, at its start, over which the rate rises from 0.

    title, summary: what it is called, and one plain sentence on what it does with the rate."""

    kind: ClassVar[str] = "constant"
    title: ClassVar[str] = "Constant"
    summary: ClassVar[str] = "The rate stays as it is."
    warmup: float = field(
        default=0.0,
        kw_only=True,
        metadata=explained(
            Setting(
                "warmup", "The share of the run, at its start, over which the rate rises from 0.", 0.01, unit="%"
            )
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a warmup outside 0 to 1, 1 excluded."""
        if not 0 <= self.warmup < 1:
            raise ValueError(f"A schedule's warmup must be at least 0 and below 1, not {self.warmup!r}.")

    def factor(self, done: float) -> float:
        """What the optimizer's rate is multiplied by when the share `done`, 0 to 1, of the run lies behind."""
        rise = min(1.0, done / self.warmup) if self.warmup else 1.0
        return rise * self.shape(max(0.0, done - self.warmup) / (1 - self.warmup))

    def shape(self, done: float) -> float:
        """The factor after the warmup, whose end is 0 here."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 to `final` along half a cosine: final + (1 - final) * (1 + cos(pi * done)) / 2 (Loshchilov, Hutter
    2017)."""

    kind: ClassVar[str] = "cosine"
    title: ClassVar[str] = "Cosine"
    summary: ClassVar[str] = "The rate falls slowly, then quickly, then slowly again, like half a wave."
    final: float = field(default=0.01, metadata=explained(_FINAL))

    def __post_init__(self) -> None:
        """Raises ValueError for a final factor outside 0 to 1."""
        super().__post_init__()
        _need_share("final", self.final)

    def shape(self, done: float) -> float:
        """Half a cosine."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Linear(Schedule):
    """From 1 to `final` along a line."""

    kind: ClassVar[str] = "linear"
    title: ClassVar[str] = "Linear"
    summary: ClassVar[str] = "The rate falls along a straight line."
    final: float = field(default=0.0, metadata=explained(_FINAL))

    def __post_init__(self) -> None:
        """Raises ValueError for a final factor outside 0 to 1."""
        super().__post_init__()
        _need_share("final", self.final)

    def shape(self, done: float) -> float:
        """A line."""
        return 1 + (self.final - 1) * done


@dataclass(frozen=True)
class Steps(Schedule):
    """Multiplied by `factor_each` at the end of each of `parts` equal parts of the run."""

    kind: ClassVar[str] = "steps"
    title: ClassVar[str] = "Steps"
    summary: ClassVar[str] = "The rate falls in a few stairs."
    parts: int = field(
        default=3, metadata=explained(Setting("stairs", "Into how many equal parts the run is cut.", 1))
    )
    factor_each: float = field(
        default=0.1,
        metadata=explained(Setting("each", "What is left of the rate from one stair to the next.", 0.05, unit="%")),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for fewer than 2 parts or a factor outside 0 to 1."""
        super().__post_init__()
        if self.parts < 2:
            raise ValueError(f"A schedule in steps needs at least 2 parts, not {self.parts}.")
        _need_share("factor_each", self.factor_each)

    def shape(self, done: float) -> float:
        """Stairs."""
        # The share of a run is a quotient, which may come out a rounding below the end of a part.
        return float(self.factor_each ** min(int(done * self.parts + 1e-9), self.parts - 1))


SCHEDULES: dict[str, type[Schedule]] = {schedule.kind: schedule for schedule in (Schedule, Cosine, Linear, Steps)}


def _need_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"A schedule's {name} must be from 0 to 1, not {value!r}.")


Part = TypeVar("Part")
LEARNING, ENDING = "learning", "ending"  # groups of a recipe's settings


def _learning(name: str, text: str, step: float = 0.0, usual: float | None = None) -> Mapping[str, Setting]:
    return explained(Setting(name, text, step, usual, group=LEARNING))


def _ending(
    name: str, text: str, step: float = 0.0, usual: float | None = None, unit: str = ""
) -> Mapping[str, Setting]:
    return explained(Setting(name, text, step, usual, unit, ENDING))


@dataclass(frozen=True)
class Recipe:
    """How a network learns.

    optimizer, and schedule: how its rate changes over the run. batch: examples a step. epochs: how often all
    examples are gone through. l2: adds l2 / 2 * sum of all squared weights (no biases) to the error. clip: the
    greatest length of the gradient, None for any. frozen: names of layers (01-conv2d) that stay as they are.

    Stop conditions beside the epochs, None for none: steps; patience: epochs without a lower error on the held-out
    examples; target: accuracy on them; seconds of training. The schedule spans the epochs, whichever of these ends
    the run.

    examples, held_out, data: of the generator: how many drawings an epoch, how many further ones the network is
    judged on, and how they are drawn. fresh: whether every epoch has drawings of its own (Generated), or all the
    same ones, those of a Pool. augmentation: how differently given examples are seen in every epoch, None for as
    they are. seed: of the first weights, the drawings, their order, augmentation and dropout; data_seed: of the
    drawings, None for the same.
    Raises ValueError for numbers that mean nothing.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Schedule)
    batch: int = field(default=64, metadata=_learning("batch", "How many examples each step learns from.", 1))
    epochs: int = field(
        default=10,
        metadata=_ending(
            "epochs", "How often all examples are gone through; the schedule goes over all of them.", 1
        ),
    )
    l2: float = field(
        default=0.0, metadata=_learning("L2", "Adds half this times the sum of all squared weights to the error.")
    )
    clip: float | None = field(
        default=None,
        metadata=_learning("clip", "The greatest length of the gradient: a longer one is shortened.", usual=1.0),
    )
    frozen: tuple[str, ...] = ()
    steps: int | None = field(
        default=None, metadata=_ending("steps", "Stop after so many steps, counted from the start.", usual=1_000)
    )
    patience: int | None = field(
        default=None,
        metadata=_ending(
            "patience", "Stop when so many epochs in a row brought no lower error on the held-out examples.", 1, 5,
            "epochs",
        ),
    )  # fmt: skip
    target: float | None = field(
        default=None,
        metadata=_ending(
            "target", "Stop when so many of the held-out examples are read rightly.", 0.005, 0.99, "%"
        ),
    )  # fmt: skip
    seconds: float | None = field(
        default=None,
        metadata=_ending("time", "Stop after so long of training, pauses not counted.", usual=60.0, unit="s"),
    )
    examples: int = 20_000
    held_out: int = 10_000
    data: XOSettings = field(default_factory=XOSettings)
    fresh: bool = True
    augmentation: Augmentation | None = None
    seed: int = 1
    data_seed: int | None = None

    def __post_init__(self) -> None:
        """Checks the numbers."""
        for name, least in (("batch", 1), ("epochs", 1), ("examples", 1), ("held_out", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"A run needs {name} of at least {least}, not {getattr(self, name)}.")
        if not 0 <= self.l2 <= LARGEST:
            raise ValueError(f"A run's l2 must be a number from 0 to {LARGEST:g}, not {self.l2!r}.")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"A run ends after at least 1 step, not after {self.steps}.")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"A run's patience must be at least 1 epoch, not {self.patience}.")
        if self.target is not None and not 0 < self.target <= 1:
            raise ValueError(f"A run's target must be an accuracy above 0, at most 1, not {self.target!r}.")
        for name in ("clip", "seconds"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit <= LARGEST:
                raise ValueError(f"A run's {name} must be above 0, not {limit!r}.")
        for seed in (self.seed, self.data_seed):
            if seed is not None and seed < 0:
                raise ValueError(f"A seed is a whole number from 0 up, not {seed}.")

    @property
    def drawn_by(self) -> int:
        """The seed of the drawings."""
        return self.seed if self.data_seed is None else self.data_seed

    def to_json(self) -> dict[str, Any]:
        """Everything about it as plain lists, numbers and words; equal recipes give equal text."""
        return _plain(self) | {
            "optimizer": {"kind": self.optimizer.kind, **_plain(self.optimizer)},
            "schedule": {"kind": self.schedule.kind, **_plain(self.schedule)},
            "data": _plain(self.data),
            "augmentation": None if self.augmentation is None else _plain(self.augmentation),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """The recipe that to_json described; what it does not say is as usual. Raises ValueError with one sentence
        if it is no such thing."""
        given = dict(data)
        optimizer, schedule, drawings = (given.pop(name, {}) for name in ("optimizer", "schedule", "data"))
        varied = given.pop("augmentation", None)
        return replace(
            part("recipe", cls, given),
            optimizer=_of_a_kind("optimizer", OPTIMIZERS, optimizer),
            schedule=_of_a_kind("schedule", SCHEDULES, schedule),
            data=part("data", XOSettings, drawings),
            augmentation=None if varied is None else part("augmentation", Augmentation, varied),
        )


def part(name: str, kind: type[Part], given: object, *, strict: bool = True) -> Part:
    """Settings of a dataclass from plain values; strict: a number is no word. Raises ValueError with one sentence
    that says what `name` has no setting for, or what is wrong with it."""
    if not isinstance(given, Mapping):
        raise ValueError(f"The {name} must be settings by name, not {given!r}.")
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"The {name} has no setting called {unknown[0]!r}; it has {', '.join(known)}.")
    try:
        return msgspec.convert(given, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise ValueError(f"The {name} cannot be so: {str(error).rstrip('.')}.") from error


def _plain(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as plain values, a whole number where a fraction may be as the fraction it is."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.convert(asdict(settings), type(settings)))
    return plain


def _of_a_kind(name: str, table: Mapping[str, type[Part]], given: object) -> Part:
    """One of the table, told by its kind. Raises ValueError."""
    if not isinstance(given, Mapping) or not isinstance(given.get("kind"), str) or given["kind"] not in table:
        raise ValueError(f"The {name} must be one of {', '.join(table)}.")
    return part(name, table[given["kind"]], {key: value for key, value in given.items() if key != "kind"})


def changes(before: Recipe, after: Recipe) -> list[str]:
    """What differs between two recipes, each in a few words: "rate 0.01"."""
    found = []
    for old, new in ((before.optimizer, after.optimizer), (before.schedule, after.schedule)):
        if type(old) is not type(new):
            found.append(new.title)
        found += _changed(old, new)
    return found + _changed(before, after)


def endless(recipe: Recipe) -> Recipe:
    """The same without its stop conditions but the epochs, over which the schedule goes."""
    return replace(recipe, steps=None, patience=None, target=None, seconds=None)


def _changed(before: Optimizer | Schedule | Recipe, after: Optimizer | Schedule | Recipe) -> list[str]:
    """Settings that are others now, but not those that are parts themselves."""
    found, same = [], type(before) is type(after)
    for each in fields(after):
        value, old = getattr(after, each.name), getattr(before, each.name, None)
        if value != old and each.name not in ("optimizer", "schedule", "data") and (same or value is not False):
            setting = setting_of(each)
            found.append(_told(each.name.replace("_", " ") if setting is None else setting.name, value))
    return found


def _told(name: str, value: object) -> str:
    """A setting and its value in words: "rate 0.01", "no clip", "Nesterov"."""
    if value is True:
        return name
    if value is None or value is False or value == ():
        return f"no {name}"
    if isinstance(value, tuple):
        return f"{name} {', '.join(map(str, value))}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
