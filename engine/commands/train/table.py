"""Table: how each class was read, and as what, as lines of text."""

from __future__ import annotations

from engine.evaluation import Score


def table(score: Score, columns: int) -> list[str]:
    """How each class was read, as lines: what it was read as, if that has room, and the share that is right."""
    classes = list(score.by_class)
    labelled = int(score.confusion[:-1].sum())
    lines = [f"held out: {score.accuracy:.2%} of {labelled:,} read rightly, loss {score.loss:.4f}"]
    names = [*classes, "neither"] if score.confusion[-1].any() else classes
    first, width = max(map(len, names)), max(9, *(len(name) + 10 for name in classes))
    counts = first + 2 + width * len(classes) + 9 <= columns
    heads = "".join(f"{'read as ' + name:>{width}}" for name in classes) if counts else f"{'examples':>9}"
    lines.append(f"{'':{first}}{heads}{'right':>10}")
    for place, name in enumerate(names):
        row = score.confusion[place]
        cells = "".join(f"{count:{width},}" for count in row) if counts else f"{row.sum():9,}"
        right = f"{score.by_class[name]:.2%}" if place < len(classes) and row.sum() else ""
        lines.append(f"{name:{first}}{cells}{right:>10}".rstrip())
    return lines
