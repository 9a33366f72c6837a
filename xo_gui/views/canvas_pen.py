"""A stroke under way: where the pen has been, and what stroke of the drawing that makes. It paints nothing."""

from __future__ import annotations

import numpy as np

from engine.drawings.drawing import THINNEST, Array, Stroke, Transform, smooth


class PenStroke:
    """Gathers the pen's places as they are seen and turns them into a stroke of the drawing's own source.

    The drawing may be seen under a transform; the stroke is then laid so that it appears exactly where the pen
    was and as wide. grid: as in Stroke, 0 for a smooth pen.
    """

    def __init__(self, transform: Transform, erase: bool = False, grid: int = 0) -> None:
        """A stroke without points; it is none before the first `add`."""
        self.erase, self.grid = erase, grid
        self._transform = transform
        # The transform thickens ink and thins erasers, so that both move the edge of the ink outward.
        self._thicken = -transform.thicken if erase else transform.thicken
        self._seen = np.empty((64, 3), np.float32)
        self._source = np.empty((64, 3), np.float32)
        self._count = 0
        self._told = 0

    def add(self, x: float, y: float, diameter: float) -> bool:
        """The pen is seen here, in frame units. False, and nothing added, if it has not moved."""
        least = THINNEST * self._transform.size + self._thicken
        place = np.array([(x, y, max(diameter, least))], np.float32)
        if self._count and np.array_equal(place[0, :2], self._seen[self._count - 1, :2]):
            return False
        if self._count == len(self._seen):
            self._seen, self._source = (
                np.resize(kept, (2 * self._count, 3)) for kept in (self._seen, self._source)
            )
        self._seen[self._count] = place
        self._source[self._count] = self._under(place)
        self._count += 1
        return True

    def stroke(self) -> Stroke:
        """The whole of it so far, as a stroke of the drawing."""
        return Stroke(self._source[: self._count].copy(), self.erase, self.grid)

    def settled(self) -> Array:
        """The part of the line, as it is seen, that became final since the last call: (m, 3), m may be 0.

        A smoothed line bends towards a new point only beyond the middle of its last step. Joined end to end the
        parts are the whole line but for its `tail`.
        """
        if self._count < 3 or self._told == self._count:
            return self._seen[:0]
        first = max(self._told - 2, 0)
        line = smooth(self._seen[first : self._count])
        self._told = self._count
        return line[:-1] if first == 0 else line[1:-1]

    def retell(self) -> None:
        """Let `settled` begin anew."""
        self._told = 0

    def tail(self) -> Array:
        """The rest of the line, which may still bend: (1 or 2, 3), as it is seen."""
        last = self._seen[max(self._count - 2, 0) : self._count]
        if self._count < 3:
            return last.copy()
        return np.stack([last.mean(axis=0, dtype=np.float32), last[1]])

    def _under(self, place: Array) -> Array:
        """What must be drawn for the pen to be seen at `place`, (1, 3)."""
        if self._transform.is_identity:
            return place
        diameter = (place[:, 2] - np.float32(self._thicken)) / np.float32(self._transform.size)
        return np.column_stack([self._transform.inverse(place[:, :2]), diameter])
