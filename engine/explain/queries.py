"""Question: what somebody who looks wants explained, and Answer: what came of it. Neither reckons anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.backends.ops import HostArray
from engine.explain.feature_profile import Likes, Wanted
from engine.explain.perturbation import Loss
from engine.nn.layers.value_formulas import Place

# worth: of one value, to the votes. ablation: of all features of a layer, to what training holds out, or else to
# generated drawings. likes: what a value likes. The others are pictures of the drawing, for one class.
Kind: TypeAlias = Literal[
    "worth", "gradient", "gradient_times_input", "grad_cam", "occlusion", "flip", "ablation", "likes"
]
# These take many passes, and so are worked out in slices, while nobody draws.
SLOW: frozenset[Kind] = frozenset(("occlusion", "flip", "ablation", "likes"))
# These have nothing to do with the drawing.
ALONE: frozenset[Kind] = frozenset(("ablation", "likes"))


@dataclass(frozen=True)
class Question:
    """kind: what is wanted. subject: which of the document's networks. layer, place: the value, for "worth"; layer,
    counted from 1: the one whose features are switched off, for "ablation". target: the class the pictures are for;
    None for the one with the most votes. wanted: of "likes", of what value; again: rises when the same is asked
    anew."""

    kind: Kind
    subject: int = 0
    layer: int = 0
    place: Place = ()
    target: int | None = None
    wanted: Wanted | None = None
    again: int = 0


@dataclass(frozen=True, eq=False)
class Answer:
    """question: what was asked. target: the class it is told of. progress: the share that is done, 1 at the end.

    map: (H, W) float64 of the input's size: for each pixel what speaks for the class, above 0, or against it; NaN
    where nothing is known yet; of "worth", what each pixel brings to the value. worth: of "worth", what the value
    brings to each class's score; rest: beside all values of its layer, what biases and bends add to each; traced:
    of a score, for the input and every layer below it, what all values there bring and what biases and bends above
    them add, which together are the score. becomes, distance: of "flip", the class that the changed drawing is read
    as, None if no change was found, and how far away it is (the root of the summed squares of the changes). losses:
    of "ablation", what is known of each feature; tried: with how many examples, held_out: whether training holds
    these out. likes: of "likes". words: why there is no answer, one sentence.
    """

    question: Question
    target: int
    progress: float
    map: HostArray | None = None
    worth: tuple[float, ...] = ()
    rest: tuple[float, ...] = ()
    traced: tuple[tuple[float, float], ...] = ()
    becomes: int | None = None
    distance: float = 0.0
    losses: tuple[Loss, ...] = ()
    likes: Likes | None = None
    tried: int = 0
    held_out: bool = False
    words: str = ""
