"""The panel that shows and edits the training data."""

from xo_gui.views.data.data_view import DataView
from xo_gui.views.data.drawings_page import label_keys, with_mnemonic
from xo_gui.views.data.input_view import InputView

__all__ = [
    "DataView",
    "InputView",
    "label_keys",
    "with_mnemonic",
]
