"""The panel that shows and edits the training data."""

from xo_gui.views.data.data_view import DataView
from xo_gui.views.data.drawings_page import blank_canvas_text, label_counts_text, label_keys, with_mnemonic

__all__ = [
    "DataView",
    "blank_canvas_text",
    "label_counts_text",
    "label_keys",
    "with_mnemonic",
]
