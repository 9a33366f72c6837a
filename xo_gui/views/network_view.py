"""Network view: every layer's values of the network that reads the drawing. It computes none of them."""

from __future__ import annotations

from xo_gui.views.strips_view import StripsView


class NetworkView(StripsView):
    """The first network has all the room, also where two are compared."""

    title = "Network"
