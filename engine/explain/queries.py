"""Queries: what panels want computed. An ExplanationQuery asks for an Explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeAlias, TypeVar

from engine.backends import HostArray
from engine.explain.counterfactual import Counterfactual
from engine.explain.feature_profile import FeatureProfile, FeatureQuery
from engine.explain.perturbation import AblationEffect
from engine.nn.layers import CellIndex

# worth: contributions of one value to the scores. ablation: of each feature of a layer, measured on the held-out
# examples, or else on generated drawings. likes: the profile of one feature. flip: the counterfactual. The others
# are attribution maps of the drawing for one class, or where VALUE_KINDS holds them and a value is given, for that.
ExplanationKind: TypeAlias = Literal[
    "worth", "gradient", "gradient_times_input", "grad_cam", "occlusion", "flip", "ablation", "likes"
]
VALUE_KINDS: frozenset[ExplanationKind] = frozenset(("gradient", "gradient_times_input"))
# These take many passes, and so are computed in slices, between two strokes.
SLOW_KINDS: frozenset[ExplanationKind] = frozenset(("occlusion", "flip", "ablation", "likes"))
# These do not depend on the drawing.
INPUT_INDEPENDENT_KINDS: frozenset[ExplanationKind] = frozenset(("ablation", "likes"))


Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Query(Generic[Answer]):
    """Something worth computing while a panel shows it. Frozen and hashable; `Answer` is the type of its result.

    What it is computed from (models, drawing, training) is in the Request beside it.
    of_training_run: whether it is answered from the training run, whatever the model on the screen.
    """

    of_training_run: ClassVar[bool] = False


@dataclass(frozen=True)
class ExplanationQuery(Query["Explanation"]):
    """What is to be explained.

    model: index of the model in the document.
    layer, cell: for "worth" the value, for VALUE_KINDS a value in place of a class's score; layer alone, counted
        from 1, for "ablation" the layer whose features are ablated one by one.
    target: index of the class to explain; None for the one with the most votes.
    feature: for "likes" the feature.
    revision: increases to compute the same query again.
    """

    kind: ExplanationKind
    model: int = 0
    layer: int = 0
    cell: CellIndex = ()
    target: int | None = None
    feature: FeatureQuery | None = None
    revision: int = 0


@dataclass(frozen=True, eq=False)
class Explanation:
    """What is known of a query so far.

    target: index of the class explained.
    progress: share of the work done, 1 at the end.
    map: (H, W) float64 of the input's size, the evidence of each pixel for (above 0) or against the class, NaN
        where unknown yet; for "worth" the contribution of each pixel to the value.
    contributions: for "worth", of the value to each class's score.
    remainder: what biases, nonlinearities and padding add to each score, beside all values of its layer.
    layer_totals: for a score, by layer from the input up, the summed contributions of its values and what biases
        and nonlinearities above it add; each pair sums to the score.
    counterfactual: for "flip", the changed drawing; `target` is the class with the most votes before.
    ablations: for "ablation", the effect of each feature so far.
    example_count, held_out: for "ablation", the number of examples, and whether they are held-out ones.
    profile: for "likes".
    message: why there is no result, one sentence.
    """

    query: ExplanationQuery
    target: int
    progress: float
    map: HostArray | None = None
    contributions: tuple[float, ...] = ()
    remainder: tuple[float, ...] = ()
    layer_totals: tuple[tuple[float, float], ...] = ()
    counterfactual: Counterfactual | None = None
    ablations: tuple[AblationEffect, ...] = ()
    profile: FeatureProfile | None = None
    example_count: int = 0
    held_out: bool = False
    message: str = ""
