"""Statement: a sentence for the status bar that is true only as long as something is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Statement:
    """A sentence that ends, even before it has been read, once it is no longer true.

    holds: whether it is true now; checked when the document changes or a snapshot comes.
    stays: whether it is shown as long as it is true, not only until it has been read.
    """

    text: str
    holds: Callable[[], bool]
    stays: bool = False
