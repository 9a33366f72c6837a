"""The panel with the votes."""

from xo_gui.views.votes.template_view import TemplateView
from xo_gui.views.votes.votes_view import VotesView

__all__ = [
    "TemplateView",
    "VotesView",
]
