"""TrainingConfig: the settings of a training run, and the learning rate schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

import msgspec

from engine.data import (
    DATA_KINDS,
    DEFAULT_KIND,
    Augmentation,
    DataSettings,
    data_settings_from_json,
    data_settings_to_json,
)
from engine.form_fields import FormField, form_field, form_field_of, settings_from
from engine.training.optimizers import MAX_SETTING, OPTIMIZERS, Adam, Optimizer

_FINAL = FormField("at the end", "What is left of the rate at the end of the run.", 0.01, unit="%")


@dataclass(frozen=True)
class Schedule:
    """A constant learning rate, and the base of the other schedules.

    warmup: the share of the run, at its start, over which the rate rises from 0.
    title, summary: its name and one plain sentence, for the user.
    """

    kind: ClassVar[str] = "constant"
    title: ClassVar[str] = "Constant"
    summary: ClassVar[str] = "The rate stays as it is."
    warmup: float = field(
        default=0.0,
        kw_only=True,
        metadata=form_field(
            FormField(
                "warmup", "The share of the run, at its start, over which the rate rises from 0.", 0.01, unit="%"
            )
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for a warmup outside 0 to 1, 1 excluded."""
        if not 0 <= self.warmup < 1:
            raise ValueError(f"A schedule's warmup must be at least 0 and below 1, not {self.warmup!r}.")

    def factor(self, done: float) -> float:
        """The factor of the optimizer's rate when the share `done`, 0 to 1, of the run is over."""
        rise = min(1.0, done / self.warmup) if self.warmup else 1.0
        return rise * self.shape(max(0.0, done - self.warmup) / (1 - self.warmup))

    def shape(self, done: float) -> float:
        """The factor after the warmup; `done` is 0 at its end and 1 at the end of the run."""
        return 1.0


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 to `final` along half a cosine: final + (1 - final) * (1 + cos(pi * done)) / 2 (Loshchilov, Hutter
    2017)."""

    kind: ClassVar[str] = "cosine"
    title: ClassVar[str] = "Cosine"
    summary: ClassVar[str] = "The rate falls slowly, then quickly, then slowly again, like half a wave."
    final: float = field(default=0.01, metadata=form_field(_FINAL))

    def __post_init__(self) -> None:
        """Raises ValueError for a final factor outside 0 to 1."""
        super().__post_init__()
        _need_share("final", self.final)

    def shape(self, done: float) -> float:
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Linear(Schedule):
    """From 1 to `final`, linearly."""

    kind: ClassVar[str] = "linear"
    title: ClassVar[str] = "Linear"
    summary: ClassVar[str] = "The rate falls along a straight line."
    final: float = field(default=0.0, metadata=form_field(_FINAL))

    def __post_init__(self) -> None:
        """Raises ValueError for a final factor outside 0 to 1."""
        super().__post_init__()
        _need_share("final", self.final)

    def shape(self, done: float) -> float:
        return 1 + (self.final - 1) * done


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Multiplied by `factor_each` at the end of each of `parts` equal parts of the run."""

    kind: ClassVar[str] = "steps"
    title: ClassVar[str] = "Steps"
    summary: ClassVar[str] = "The rate falls in a few steps."
    parts: int = field(
        default=3, metadata=form_field(FormField("parts", "Into how many equal parts the run is divided.", 1))
    )
    factor_each: float = field(
        default=0.1,
        metadata=form_field(
            FormField("factor", "What is left of the rate from one part to the next.", 0.05, unit="%")
        ),
    )

    def __post_init__(self) -> None:
        """Raises ValueError for fewer than 2 parts or a factor outside 0 to 1."""
        super().__post_init__()
        if self.parts < 2:
            raise ValueError(f"A schedule in steps needs at least 2 parts, not {self.parts}.")
        _need_share("factor_each", self.factor_each)

    def shape(self, done: float) -> float:
        # The share of a run is a quotient, which may be rounded to just below the end of a part.
        return float(self.factor_each ** min(int(done * self.parts + 1e-9), self.parts - 1))


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.kind: schedule for schedule in (Schedule, Cosine, Linear, StepDecay)
}


def _need_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"A schedule's {name} must be from 0 to 1, not {value!r}.")


Part = TypeVar("Part")
LEARNING, STOPPING = "learning", "ending"  # groups of settings in the form


def _learning(name: str, text: str, step: float = 0.0, start: float | None = None) -> Mapping[str, FormField]:
    return form_field(FormField(name, text, step, start, group=LEARNING))


def _stopping(
    name: str, text: str, step: float = 0.0, start: float | None = None, unit: str = ""
) -> Mapping[str, FormField]:
    return form_field(FormField(name, text, step, start, unit, STOPPING))


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a training run.

    batch: examples per step.
    epochs: passes over all examples; the schedule spans them, whatever ends the run.
    l2: adds l2 / 2 * sum of all squared weights (no biases) to the loss.
    clip: the maximum 2-norm of the gradient, None for no limit.
    frozen: names of layers (conv2d-1) that are not trained.
    steps, seconds: stop after so many steps, or so long of training.
    patience: stop after so many epochs without a lower loss on the held-out examples (early stopping).
    target: stop at this accuracy on the held-out examples.
    examples, held_out: number of generated examples in an epoch, and of further ones for evaluation.
    data: settings of the kind of data that is generated.
    fresh: every epoch generates new examples (GeneratedSource), otherwise all use those of an ExamplePool.
    augmentation: of given examples, None for none.
    seed: of the initial weights, the examples, their order, augmentation and dropout.
    data_seed: of the examples, None for `seed`.

    Raises ValueError for settings out of range.
    """

    optimizer: Optimizer = field(default_factory=Adam)
    schedule: Schedule = field(default_factory=Schedule)
    batch: int = field(default=64, metadata=_learning("batch", "How many examples each step trains on.", 1))
    epochs: int = field(
        default=10,
        metadata=_stopping("epochs", "How many passes over all examples; the schedule spans all of them.", 1),
    )
    l2: float = field(
        default=0.0, metadata=_learning("L2", "Adds half of this times the sum of all squared weights to the loss.")
    )
    clip: float | None = field(
        default=None,
        metadata=_learning(
            "clip", "The maximum length (norm) of the gradient: a longer one is scaled down.", start=1.0
        ),
    )
    frozen: tuple[str, ...] = ()
    steps: int | None = field(
        default=None, metadata=_stopping("steps", "Stop after so many steps, counted from the start.", start=1_000)
    )
    patience: int | None = field(
        default=None,
        metadata=_stopping(
            "patience", "Early stopping: after so many epochs without a lower loss on the held-out examples.", 1, 5,
            "epochs",
        ),
    )  # fmt: skip
    target: float | None = field(
        default=None,
        metadata=_stopping(
            "target", "Stop at this accuracy on the held-out examples.", 0.005, 0.99, "%"
        ),
    )  # fmt: skip
    seconds: float | None = field(
        default=None,
        metadata=_stopping("time", "Stop after so long of training, pauses not counted.", start=60.0, unit="s"),
    )
    examples: int = 20_000
    held_out: int = 10_000
    data: DataSettings = field(default_factory=DATA_KINDS[DEFAULT_KIND].default_settings)
    fresh: bool = True
    augmentation: Augmentation | None = None
    seed: int = 1
    data_seed: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("epochs", 1), ("examples", 1), ("held_out", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"A run needs {name} of at least {least}, not {getattr(self, name)}.")
        if not 0 <= self.l2 <= MAX_SETTING:
            raise ValueError(f"A run's l2 must be a number from 0 to {MAX_SETTING:g}, not {self.l2!r}.")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"A run ends after at least 1 step, not after {self.steps}.")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"A run's patience must be at least 1 epoch, not {self.patience}.")
        if self.target is not None and not 0 < self.target <= 1:
            raise ValueError(f"A run's target must be an accuracy above 0, at most 1, not {self.target!r}.")
        for name in ("clip", "seconds"):
            limit = getattr(self, name)
            if limit is not None and not 0 < limit <= MAX_SETTING:
                raise ValueError(f"A run's {name} must be above 0, not {limit!r}.")
        for seed in (self.seed, self.data_seed):
            if seed is not None and seed < 0:
                raise ValueError(f"A seed is a whole number from 0 up, not {seed}.")

    @property
    def example_seed(self) -> int:
        """The seed of the generated examples."""
        return self.seed if self.data_seed is None else self.data_seed

    def to_json(self) -> dict[str, Any]:
        """All settings as JSON values; equal configurations give equal ones."""
        return _plain(self) | {
            "optimizer": {"kind": self.optimizer.kind, **_plain(self.optimizer)},
            "schedule": {"kind": self.schedule.kind, **_plain(self.schedule)},
            "data": data_settings_to_json(self.data),
            "augmentation": None if self.augmentation is None else _plain(self.augmentation),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingConfig:
        """The configuration that to_json described, with defaults for missing settings. Raises ValueError with one
        sentence if it is invalid."""
        values = dict(data)
        optimizer, schedule, generator = (values.pop(name, {}) for name in ("optimizer", "schedule", "data"))
        augmentation = values.pop("augmentation", None)
        return replace(
            settings_from("training", cls, values),
            optimizer=_of_kind("optimizer", OPTIMIZERS, optimizer),
            schedule=_of_kind("schedule", SCHEDULES, schedule),
            data=data_settings_from_json(generator),
            augmentation=None
            if augmentation is None
            else settings_from("augmentation", Augmentation, augmentation),
        )


def _plain(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as JSON values; an int in a float field becomes a float."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.convert(asdict(settings), type(settings)))
    return plain


def _of_kind(name: str, table: Mapping[str, type[Part]], values: object) -> Part:
    """The settings of the class that their "kind" names. Raises ValueError."""
    if not isinstance(values, Mapping) or not isinstance(values.get("kind"), str) or values["kind"] not in table:
        raise ValueError(f"The {name} must be one of {', '.join(table)}.")
    return settings_from(
        name, table[values["kind"]], {key: value for key, value in values.items() if key != "kind"}
    )


def describe_changes(before: TrainingConfig, after: TrainingConfig) -> list[str]:
    """The differences between two configurations, each in a few words: "rate 0.01"."""
    texts = []
    for old, new in ((before.optimizer, after.optimizer), (before.schedule, after.schedule)):
        if type(old) is not type(new):
            texts.append(new.title)
        texts += _changed_settings(old, new)
    return texts + _changed_settings(before, after)


def without_stop_conditions(config: TrainingConfig) -> TrainingConfig:
    """The configuration without stop conditions, except the epochs, which the schedule spans."""
    return replace(config, steps=None, patience=None, target=None, seconds=None)


def _changed_settings(
    before: Optimizer | Schedule | TrainingConfig, after: Optimizer | Schedule | TrainingConfig
) -> list[str]:
    """The changed settings in words, nested settings left out."""
    texts, same = [], type(before) is type(after)
    for each in fields(after):
        value, old = getattr(after, each.name), getattr(before, each.name, None)
        if value != old and each.name not in ("optimizer", "schedule", "data") and (same or value is not False):
            setting = form_field_of(each)
            texts.append(_setting_text(each.name.replace("_", " ") if setting is None else setting.name, value))
    return texts


def _setting_text(name: str, value: object) -> str:
    """A setting and its value: "rate 0.01", "no clip", "Nesterov"."""
    if value is True:
        return name
    if value is None or value is False or value == ():
        return f"no {name}"
    if isinstance(value, tuple):
        return f"{name} {', '.join(map(str, value))}"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
