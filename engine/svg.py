"""SVG: how every drawn chart begins, and its words and colours. It draws no chart."""

from __future__ import annotations

from html import escape

TEXT, FAINT, GRID = "#1f2430", "#5b6472", "#e4e7eb"


def beginning(width: int, height: int, title: str) -> list[str]:
    """The first lines of a picture on white, `title` being what a screen reader says of it."""
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]


def text(
    x: float, y: float, words: str, *, size: int = 12, weight: int = 400, fill: str = TEXT, anchor: str = "start"
) -> str:
    """Words at a place of a picture."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )
