"""Texts: the translation of what the window says, and the marks by which Qt's lupdate finds it.

lupdate finds literals alone: in `tr`, in `translate`, and in the marks, whose text is translated where it is shown.
"""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication


def translate(context: str, text: str) -> str:
    """The text in the user's language. Called with literals, so that lupdate finds the text and its context."""
    return QCoreApplication.translate(context, text)


def QT_TR_NOOP(text: str) -> str:
    """Mark a text of a module's table, whose context is ""."""
    return text


def QT_TRANSLATE_NOOP(context: str, text: str) -> str:
    """Mark a text for a context."""
    return text


def marked_text(context: str, text: str) -> str:
    """A text that is marked for this context elsewhere, in the user's language."""
    return QCoreApplication.translate(context, text)


def engine_text(text: str) -> str:
    """A text that the engine says about a layer, a setting or a formula, in the user's language; `engine_texts`
    marks all of them."""
    return marked_text("Engine", text)
