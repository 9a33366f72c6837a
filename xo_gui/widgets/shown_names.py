"""Names that are not the program's, such as those of files and classes, shown exactly as they are."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def menu_text(text: str) -> str:
    """Text for a menu or a button, where a single & would only underline the next letter."""
    return text.replace("&", "&&")


def tooltip_text(text: str) -> str:
    """Text for a tooltip, where a name such as <b> would be taken for markup."""
    return f"<qt>{html.escape(text)}</qt>" if "<" in text else text


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The file name of each path; equal ones are followed by as many folders as tell them apart."""
    depths, names = dict.fromkeys(paths, 0), {path: path.name for path in paths}
    while True:
        counts = Counter(names.values())
        equal = [path for path, name in names.items() if counts[name] > 1 and depths[path] < len(path.parts) - 1]
        if not equal:
            return [names[path] for path in paths]
        for path in equal:
            depths[path] += 1
            folder = Path(*path.parts[-1 - depths[path] : -1])
            names[path] = f"{path.name} — {folder}"
