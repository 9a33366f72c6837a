"""Mailbox: one slot in which the latest thing wins; the only object two threads share. It knows no widget."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Put and take from any thread. What is put must be complete, for what it replaces is gone."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Leave `item`, replacing what nobody took. True if the slot was empty: someone should be told."""
        with self._changed:
            was_empty = self._item is None
            self._item = item
            self._changed.notify_all()
            return was_empty

    def take(self) -> T | None:
        """What is there, or None; the slot is empty afterwards."""
        with self._changed:
            item, self._item = self._item, None
            return item

    def wait(self, seconds: float | None = None) -> T | None:
        """Like take, but waits for something, so many seconds at most; None after them, and once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, seconds)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    @property
    def empty(self) -> bool:
        """Whether nothing is there."""
        with self._changed:
            return self._item is None

    @property
    def closed(self) -> bool:
        """Whether it hands out nothing more through wait()."""
        with self._changed:
            return self._closed

    def close(self) -> None:
        """Wake whoever waits and hand out nothing more through wait()."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
