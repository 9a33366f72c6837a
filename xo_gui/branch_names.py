"""BranchNames: what the person calls the branches of a training, and which are drawn. It knows no branch itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class BranchNames:
    """By the branch's number: the names the person gave, and the branches that are not drawn."""

    def __init__(self) -> None:
        self._given: dict[int, str] = {}
        self._hidden: set[int] = set()
        self._taken: tuple[str, ...] = ()

    @property
    def given(self) -> dict[int, str]:
        """The names the person gave, as they are now."""
        return dict(self._given)

    @property
    def hidden(self) -> frozenset[int]:
        """The branches that are not drawn."""
        return frozenset(self._hidden)

    def call(self, branch: int, name: str) -> None:
        """The person calls a branch so."""
        self._given[branch] = name

    def show(self, branch: int, shown: bool) -> None:
        """Draw a branch, or do not."""
        (self._hidden.discard if shown else self._hidden.add)(branch)

    def take(self, names: Iterable[str]) -> None:
        """These are the names of all branches that there are."""
        self._taken = tuple(names)

    def begin_anew(self, given: Mapping[int, str] | None = None, taken: Iterable[str] = ()) -> None:
        """Other branches take the place of all there were."""
        self._given, self._taken = dict(given or {}), tuple(taken)
        self._hidden.clear()

    def not_taken(self, name: str, numbered: str) -> str:
        """The name, or if a branch has it already, numbered: "{0} ({1})", the name and the first free number."""
        number, wished = 2, name
        while wished in self._taken:
            wished, number = numbered.format(name, number), number + 1
        return wished
