"""What a layer says about itself: its traits, which others ask instead of its type, and its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine.backends import HostArray


@dataclass(frozen=True)
class Traits:
    """The properties of a layer that others depend on.

    reshapes: the output is the input in another shape
    is_identity: at inference, y == x
    is_elementwise: at inference, y[i] depends on x[i] alone
    commutes_with_max: max(f(x)) == f(max(x))
    takes_maximum: every output is the maximum of a window
    zeroes_negatives: 0, with gradient 0, below a bound (ReLU)
    connects_channels: an output channel reads all input channels
    changes_scale: the output's scale is unrelated to the input's, as of weighted sums and saturating functions, but
        not of selection, clipping or averaging
    sign: of the outputs: "any", "never negative", or "input", negative only if inputs are
    is_stochastic: random in training mode
    uses_batch_statistics: an example's output depends on the rest of its batch, which then cannot be split
    fits_to_data: takes statistics from the training data (Layer.fit)
    kernel_size: of the kernels, to be shown beside their maps; None without
    strong: for each output, the positions in a vector that it is the mean of; None for all other layers
    """

    reshapes: bool = False
    is_identity: bool = False
    is_elementwise: bool = False
    commutes_with_max: bool = False
    takes_maximum: bool = False
    zeroes_negatives: bool = False
    connects_channels: bool = False
    changes_scale: bool = False
    sign: Literal["any", "never negative", "input"] = "input"
    is_stochastic: bool = False
    uses_batch_statistics: bool = False
    fits_to_data: bool = False
    kernel_size: int | None = None
    strong: tuple[tuple[int, ...], ...] | None = None

    def can_be_negative(self, input_negative: bool) -> bool:
        """Whether outputs can be negative. input_negative: whether the inputs can."""
        return self.sign == "any" or (self.sign == "input" and input_negative)


class Phrase(NamedTuple):
    """Plain English with places for values, "max of {0} × {0}", to be translated before they are put in."""

    template: str
    values: tuple[object, ...] = ()


NO_DETAIL = Phrase("")


def _itself(x: HostArray) -> HostArray:
    return x


@dataclass(frozen=True)
class Spelling:
    """How a function of one value is written out.

    rule: in words, or as a formula of x or of the terms
    result: the function, from x (1,) or from the terms (k,), where there are any
    names, terms: the terms of the formula, and how they follow from x (1,)
    """

    rule: Phrase
    result: Callable[[HostArray], HostArray]
    names: tuple[str, ...] = ()
    terms: Callable[[HostArray], HostArray] = _itself


@dataclass(frozen=True)
class LayerText:
    """The words for a layer, plain English; what shows them may translate them.

    title: its displayed name
    detail: a few words on its hyperparameters, for under the title
    forward, backward: what it does to the values, and to the gradient on its way back, as a sentence
    kink: the predicate of a message about a kink
    """

    title: str
    detail: Phrase = NO_DETAIL
    forward: str = "every value is changed by the same function."
    backward: str = "each gradient is multiplied by the slope of the function at its value."
    kink: str = "lies at its kink"
