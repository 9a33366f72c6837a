"""Explainer: answers the Question of whoever looks, quick ones at once and slow ones in slices. It is no thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from engine.data.dataset import Examples
from engine.data.pool import Lesson
from engine.explain.attribution import (
    Gradients,
    contributions_in_pieces,
    grad_cam,
    gradient_times_input,
    score_gradient,
    scores_of,
)
from engine.explain.feature_profile import Liking, same_weights
from engine.explain.perturbation import Occlusion, ablation, drawings, flip
from engine.explain.queries import ALONE, SLOW, Answer, Question
from engine.nn.inference import Reading
from engine.nn.weight_editing import weighed_by

# Seconds: what takes longer is not made during a stroke, but when the hand rests; of strokes, and of a training
# that goes on, it takes no more than a share of the time.
QUICK, SHARE = 0.010, 0.1
# Nor more often than this: nobody reads numbers quicker, and each holds up a picture of the stroke. A pen that
# stands still for so long is told what was left out.
OFTEN, STILL = 0.15, 0.05
# What a network may cost whose questions are tried at once, before it is known how long they take.
QUICK_MULTIPLIES = 5_000_000
# Seconds from the end of a slow answer to its next beginning, while weights change all the time.
REST = 4.0


@dataclass(frozen=True, eq=False)
class Learnt:
    """What training learns from, and the examples of it as far as they are made: nobody has to make them again.
    held_out: those that it does not learn from."""

    lesson: Lesson
    examples: Examples | None
    held_out: Examples | None


class Explainer:
    """Holds what explaining needs from one Request to the next. `answer`: the latest, None while there is none."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self._question: Question | None = None
        self._reading: Reading | None = None
        self._settled = True
        # An Answer, better and better; None where a piece is done and nothing is to be said yet.
        self._work: Iterator[Answer | None] | None = None
        self._gradients: Gradients | None = None
        self._occlusion: Occlusion | None = None
        self._liking = Liking()
        self._learnt: Learnt | None = None
        self._learning, self._told, self._whole, self._brief = False, False, False, False
        self._cost, self._spent = 0.0, 0.0
        self._free_at, self._stands_at, self._rested_at = 0.0, 0.0, 0.0

    def follow(
        self,
        question: Question | None,
        readings: tuple[Reading, ...],
        settled: bool,
        learning: bool = False,
        learnt: Learnt | None = None,
    ) -> None:
        """Make this the question, of these readings; what is quick is answered before this returns. A question of a
        value that is not there has no answer. learning: whether the weights change all the time, by training, which
        is not held up for the same question anew but by a share of the time."""
        self._learning, self._learnt = learning, learnt
        reading = readings[question.subject] if question and question.subject < len(readings) else None
        if question is None or reading is None or not _is_there(question, reading):
            self._question = self._reading = self._work = self.answer = None
            return
        self._settled, self._told = settled, True
        if question == self._question and self._reading is not None and not self._is_news(reading):
            return
        if question != self._question:
            self.answer, self._told = None, False
            cost = sum(cost.multiplies for cost in reading.subject.network.costs)
            self._cost = 0.0 if cost < QUICK_MULTIPLIES else QUICK + 1
        elif question.kind in SLOW and self._goes_on(question, reading):
            return  # weights that are being learnt change all the time: finish what was begun, and rest a while
        # What was found of weights that are being learnt stays until all is known of the next ones.
        self._whole = question.kind == "likes" and learning and self.answer is not None
        if learning and not self._brief:
            self._free_at = 0.0  # what is found while weights are learnt takes less
        self._brief = learning
        self._question, self._reading = question, reading
        self._work, self._spent = self._answers(question, reading), 0.0
        if question.kind == "likes" and self.answer is None:
            self._go_on()  # what is known already of other features of the layer
        if not settled and self._is_slow and question.kind not in ALONE:
            self.answer = None
        # While a pen moves, its maps are not held up for the same question more often than numbers can be read.
        now = perf_counter()
        at_once = settled or self.answer is None or now >= self._free_at
        self._stands_at = now + STILL
        while at_once and self._work is not None and not self._is_slow:
            self._go_on()
        self._told = self._told or self.answer is not None

    def give_up(self) -> None:
        """Leave this question unanswered until another is asked, or another drawing read."""
        self._work = self.answer = None

    @property
    def busy(self) -> bool:
        """Whether `work` would get anything done now."""
        if not self._is_open:
            return False
        patient = self._learning and self.answer is not None and not self._spent
        return (self._settled and not patient) or perf_counter() >= self._due

    @property
    def _is_open(self) -> bool:
        """Whether something is left to do, and not only when the hand rests."""
        return self._work is not None and (self._settled or not self._is_slow)

    @property
    def _due(self) -> float:
        """From when on something that is left out is made without being asked for again."""
        return self._free_at if self._settled else max(self._free_at, self._stands_at)

    @property
    def idle(self) -> float | None:
        """Seconds until it is busy without being asked anything new; None if it will not be."""
        if not self._is_open:
            return None
        return max(0.0, self._due - perf_counter())

    @property
    def news(self) -> bool:
        """Whether there is a first answer to a question, which nobody has been told yet: somebody waits for it."""
        return self.answer is not None and not self._told

    def work(self, seconds: float) -> None:
        """Go on for about so long, by one piece at least."""
        end = perf_counter() + seconds
        while self.busy:
            self._go_on()
            if perf_counter() >= end:
                break

    @property
    def _is_slow(self) -> bool:
        return self._question is not None and (self._question.kind in SLOW or self._cost > QUICK)

    def _is_news(self, reading: Reading) -> bool:
        before = self._reading
        assert before is not None
        if self._question is not None and self._question.kind in ALONE:
            brief = self._question.kind == "likes" and self._brief and not self._learning
            return brief or not same_weights(reading.subject, before.subject)
        return reading.subject is not before.subject or not _same_picture(reading, before)

    def _goes_on(self, question: Question, reading: Reading) -> bool:
        """Whether a slow question is left as it is though the weights are others."""
        if question.kind == "likes" and not self._learning:
            return False  # a hand has changed the weights
        same = question.kind in ALONE or _same_picture(reading, self._reading)
        return same and (self._work is not None or perf_counter() < self._rested_at)

    def _go_on(self) -> None:
        assert self._work is not None
        begun = perf_counter()
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # weights that have run away give no numbers
                found = next(self._work)
            if found is not None and (found.progress >= 1 or not self._whole):
                self.answer = found
        except StopIteration:
            self._work = None
        except ValueError as error:
            assert self._question is not None
            self.answer = Answer(self._question, 0, 1.0, words=str(error))
            found = self.answer
        now = perf_counter()
        self._spent += now - begun
        if found is not None and found.progress >= 1:
            self._work, self._rested_at = None, now + REST
            # The least it took: painting in another thread, or laying out memory, makes it longer now and then.
            self._cost = min(self._cost or self._spent, self._spent)
            self._free_at = now + max(self._spent / SHARE, OFTEN)

    def _answers(self, question: Question, reading: Reading) -> Iterator[Answer | None]:
        """The answer, better and better."""
        target = int(reading.votes.argmax()) if question.target is None else question.target
        picture = reading.outputs[0]
        if question.kind == "ablation":
            held_out = self._learnt.held_out if self._learnt is not None else None
            given, apart = drawings(reading.subject.network, held_out)
            for done, losses in ablation(reading.subject, question.layer, given):
                yield Answer(question, target, done, losses=losses, tried=len(given), held_out=apart)
            return
        if question.kind == "likes":
            assert question.wanted is not None
            known = self._learnt
            made = known.examples if known is not None and known.lesson == question.wanted.lesson else None
            for likes in self._liking.of(reading.subject, question.wanted, made, self._brief):
                yield None if likes is None else Answer(question, target, likes.done, likes=likes)
            return
        if question.kind == "occlusion":
            for done, drops in self._occluding(reading).drops(picture, target):
                yield Answer(question, target, done, drops)
            return
        gradients = self._loaded(reading)
        yield None
        yield from gradients.show_in_pieces(picture)
        if question.kind == "flip":
            for found in flip(gradients, picture):
                distance = float(np.sqrt(np.square(found.change).sum()))
                yield Answer(
                    question, target, found.done, found.change.sum(axis=0), becomes=found.becomes, distance=distance
                )
        elif question.kind == "worth":
            yield from self._worth(question, target, gradients)
        elif question.kind == "grad_cam":
            yield Answer(question, target, 1.0, grad_cam(gradients, target))
        else:
            of = score_gradient if question.kind == "gradient" else gradient_times_input
            yield Answer(question, target, 1.0, of(gradients, target).sum(axis=0))

    def _worth(self, question: Question, target: int, gradients: Gradients) -> Iterator[Answer | None]:
        """From the scores down to the value's layer, and from the value down to the picture."""
        layer, place, top = question.layer, question.place, len(gradients.network.layers)
        above = yield from contributions_in_pieces(gradients, top, scores_of(gradients), layer)
        below = yield from contributions_in_pieces(gradients, layer, [place])
        sums = (below.results - below.rest)[:-1, 0].tolist()
        traced = zip(sums, below.rest[:-1, 0].tolist(), strict=True) if layer == top else ()
        yield Answer(
            question, target, 1.0, below.layers[0][0].sum(axis=0),
            worth=tuple(float(each[place]) for each in above.layers[0]), rest=tuple(above.rest[0].tolist()),
            traced=tuple(traced),
        )  # fmt: skip

    def _loaded(self, reading: Reading) -> Gradients:
        """Gradients of this reading's network, with its parameters."""
        network = reading.subject.network
        if self._gradients is None or self._gradients.network != network:
            self._gradients = Gradients(network, len(network.classes))
        self._gradients.load(reading.subject.parameters)
        return self._gradients

    def _occluding(self, reading: Reading) -> Occlusion:
        if self._occlusion is None or self._occlusion.subject is not reading.subject:
            self._occlusion = Occlusion(reading.subject)
        return self._occlusion


def _is_there(question: Question, reading: Reading) -> bool:
    network = reading.subject.network
    if question.kind == "ablation":
        there = 0 < question.layer < len(network.shapes)
        return there and weighed_by(network, question.layer) == question.layer
    if question.kind == "likes":
        wanted = question.wanted
        fits = wanted is not None and 0 < wanted.layer < len(network.shapes)
        return fits and wanted is not None and 0 <= wanted.channel < network.shapes[wanted.layer][0]
    if question.kind == "worth":
        shape = network.shapes[question.layer] if question.layer < len(network.shapes) else ()
        fits = len(shape) == len(question.place)
        return fits and all(0 <= at < side for at, side in zip(question.place, shape, strict=True)) and bool(shape)
    return question.target is None or question.target < len(network.classes)


def _same_picture(reading: Reading, other: Reading | None) -> bool:
    return other is not None and np.array_equal(reading.outputs[0], other.outputs[0])
