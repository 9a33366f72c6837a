"""Faults: runs stages of work one by one, so that a fault in one does not end the others, and reports it once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Final, TypeVar

log = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")
# Seconds without an unexpected fault after which the same one counts as new.
FAULT_SECONDS: Final = 60.0
# The sentence of a refusal: the error's own, or with the name of the stage.
PLAIN, NAMED = "{error}", "{stage}: not available. {error}"


class Faults:
    """Guards stages of the work; a stage that fails is reported once, and the rest goes on.

    say: called with one sentence for the user.
    refusals: the errors by which a stage refuses its input.
    passed_on: the errors that are left to the caller, who repeats the stage.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        refusals: tuple[type[Exception], ...] = (ValueError,),
        passed_on: tuple[type[Exception], ...] = (),
    ) -> None:
        self._say, self._refusal_types, self._passed_on = say, refusals, passed_on
        self._refused: dict[str, str] = {}  # the last one of a stage, until the stage succeeds
        self._seen: dict[tuple[object, ...], float] = {}  # when an unexpected fault occurred last

    def guard(
        self,
        stage: str,
        action: Callable[[], Outcome],
        otherwise: Outcome,
        then: Callable[[str], None] | None = None,
        *,
        refusal: str = "",
    ) -> Outcome:
        """The result of the action, or `otherwise` if it fails. Raises no Exception but those passed on.

        An error is said once, however often the stage is repeated, and logged unless it is a refusal.
        then: called with the sentence each time, to stop what has failed.
        refusal: PLAIN or NAMED where the stage may refuse its input.
        """
        try:
            result = action()
        except self._passed_on:
            raise
        except Exception as error:  # noqa: BLE001 - report() logs it
            if refusal and isinstance(error, self._refusal_types):
                sentence = refusal.format(stage=stage, error=error)
                if self._refused.get(stage) != sentence:
                    self._refused[stage] = sentence
                    self._say(sentence)
            else:
                sentence = self.report(stage, error)
        else:
            self._refused.pop(stage, None)
            return result
        if then is not None:
            then(sentence)
        return otherwise

    def report(self, stage: str, error: BaseException) -> str:
        """Log and say an unexpected error, unless the same one was just reported; returns the sentence."""
        reason = f"{stage}: unexpected error, {type(error).__name__}: {error}"
        sentence = f"{reason.rstrip('.')}. The program keeps running; the log has the details."
        if self._is_new(error):
            log.error("%s: unexpected error", stage, exc_info=error)
            self._say(sentence)
        return sentence

    def _is_new(self, error: BaseException) -> bool:
        """Whether this fault has not occurred for a while; it is known by its type and the line that raised it."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        key = (type(error), trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        now = perf_counter()
        before, self._seen[key] = self._seen.get(key), now
        return before is None or now - before > FAULT_SECONDS
