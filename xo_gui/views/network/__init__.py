"""The panel with every layer's feature maps, and what other panels share of it."""

from xo_gui.views.network.colour_limits import ColourLimits, rounded_limit
from xo_gui.views.network.column_painting import (
    SYMBOL_SIZE,
    Brush,
    Legend,
    cached_font,
    paint_legend,
    paint_name_after,
    qrect,
)
from xo_gui.views.network.dead_features import paint_dead_mark
from xo_gui.views.network.folding import FoldState
from xo_gui.views.network.layer_labels import ColumnKind, DisplayColumn, display_columns, layer_names
from xo_gui.views.network.layout import Box, ColumnLayout, StripLayout
from xo_gui.views.network.model_names import MODEL_LETTERS, agreement_text, model_label, model_labels
from xo_gui.views.network.network_view import LayerStripView, NetworkView
from xo_gui.views.network.strip_painting import (
    FOOTER_SPACE,
    HEADER_SPACE,
    RULE_TOP,
    StripPainter,
    paint_ring,
    prediction_text,
)
from xo_gui.views.network.strip_state import StripDecorations, StripModel
from xo_gui.views.network.strip_widget import MARGIN, READOUT_HEIGHT, TOP, UNDER_TABS, WeightRef
from xo_gui.views.network.trace import has_cell, unflattened
from xo_gui.views.network.value_text import (
    CellSummary,
    cell_summary,
    explained_cell,
    lettered_place,
    place_text,
    weight_summary,
)

__all__ = [
    "FOOTER_SPACE",
    "HEADER_SPACE",
    "MARGIN",
    "MODEL_LETTERS",
    "READOUT_HEIGHT",
    "RULE_TOP",
    "SYMBOL_SIZE",
    "TOP",
    "UNDER_TABS",
    "Box",
    "Brush",
    "CellSummary",
    "ColourLimits",
    "ColumnKind",
    "ColumnLayout",
    "DisplayColumn",
    "FoldState",
    "LayerStripView",
    "Legend",
    "NetworkView",
    "StripDecorations",
    "StripLayout",
    "StripModel",
    "StripPainter",
    "WeightRef",
    "agreement_text",
    "cached_font",
    "cell_summary",
    "display_columns",
    "explained_cell",
    "has_cell",
    "layer_names",
    "lettered_place",
    "model_label",
    "model_labels",
    "paint_dead_mark",
    "paint_legend",
    "paint_name_after",
    "paint_ring",
    "place_text",
    "prediction_text",
    "qrect",
    "rounded_limit",
    "unflattened",
    "weight_summary",
]
