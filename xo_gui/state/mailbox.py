"""Mailbox: a thread-safe slot for one item in which the latest wins; the only object that two threads share."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A slot that any thread may put into and take from. Items must be complete: a replaced item is lost."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._item: T | None = None
        self._closed = False

    def put(self, item: T) -> bool:
        """Store `item`, replacing one not taken yet. Returns whether the slot was empty, so a signal is due."""
        with self._changed:
            was_empty = self._item is None
            self._item = item
            self._changed.notify_all()
            return was_empty

    def take(self) -> T | None:
        """Empty the slot and return its item, None if there is none."""
        with self._changed:
            item, self._item = self._item, None
            return item

    def wait(self, seconds: float | None = None) -> T | None:
        """Like take, but waits for an item, at most `seconds`; None on timeout and once the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, seconds)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    @property
    def empty(self) -> bool:
        with self._changed:
            return self._item is None

    @property
    def closed(self) -> bool:
        """Whether wait() returns no more items."""
        with self._changed:
            return self._closed

    def close(self) -> None:
        """Wake all waiting threads; wait() returns None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
