"""Texts: the translation of what the window says outside of widgets."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication


def translate(context: str, text: str) -> str:
    """The text in the user's language. Called with literals, so that Qt's tools find the text and its context."""
    return QCoreApplication.translate(context, text)
