"""Page: a Markdown file of which a benchmark rewrites a part and leaves the rest to its author."""

from __future__ import annotations

from pathlib import Path

from engine.bench.contender import BenchError
from engine.storage.atomic import read_whole

BEGIN, END = "<!-- xo bench writes what follows -->", "<!-- up to here -->"
LARGEST = 1 << 20


def into_page(path: Path, tables: str) -> str:
    """What the file is to hold: the tables between BEGIN and END, each on a line of its own, if it has them, else
    the tables alone.

    Raises StorageError if the file cannot be read, BenchError if it has other text but not both marks: that is not
    written over.
    """
    if not path.exists():
        return tables
    text = read_whole(path, LARGEST).decode("utf-8", "replace")
    start, end = text.find(f"{BEGIN}\n"), text.find(f"\n{END}")
    if start < 0 or end < start:
        raise BenchError(f"{path} has no lines {BEGIN} and {END} to write between; add them, or choose a new file.")
    return f"{text[:start]}{BEGIN}\n\n{tables}{text[end:]}"
