"""One step of training, taken apart: forward, error, backward, update, and the arithmetic of any one value."""

from engine.dissection.dissection import Dissection, ExamplePass, Inspection, Nudged, Place, Update, Worked
from engine.dissection.dissector import Dissector, Standing, learnt_shapes
from engine.dissection.watch import Wanted, Watch

__all__ = [
    "Dissection",
    "Dissector",
    "ExamplePass",
    "Inspection",
    "Nudged",
    "Place",
    "Standing",
    "Update",
    "Wanted",
    "Watch",
    "Worked",
    "learnt_shapes",
]
