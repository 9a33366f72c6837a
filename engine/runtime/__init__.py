"""What runs in the engine thread: requests in, snapshots out, training and background jobs in slices."""

from engine.runtime.jobs import DrawingPrediction
from engine.runtime.protocol import Notice, Request, Snapshot
from engine.runtime.runner import Runner
from engine.runtime.training_protocol import Keyframe, TrainingReport, TrainingRequest

__all__ = [
    "DrawingPrediction",
    "Keyframe",
    "Notice",
    "Request",
    "Runner",
    "Snapshot",
    "TrainingReport",
    "TrainingRequest",
]
