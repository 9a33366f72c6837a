"""What runs in the engine thread: requests in, snapshots out, training and jobs in slices."""

from engine.runtime.jobs import (
    HeldOutQuery,
    LabelledPrediction,
    LabelledPredictionsQuery,
    RobustnessQuery,
    SamplesQuery,
)
from engine.runtime.protocol import Notice, Request, Snapshot
from engine.runtime.runner import Runner
from engine.runtime.scheduler import AnyQuery
from engine.runtime.training_jobs import DeadFeaturesQuery, LayerStatisticsQuery, RunEvaluationQuery
from engine.runtime.training_protocol import Keyframe, TrainingReport, TrainingRequest

__all__ = [
    "AnyQuery",
    "DeadFeaturesQuery",
    "HeldOutQuery",
    "Keyframe",
    "LabelledPrediction",
    "LabelledPredictionsQuery",
    "LayerStatisticsQuery",
    "Notice",
    "Request",
    "RobustnessQuery",
    "RunEvaluationQuery",
    "Runner",
    "SamplesQuery",
    "Snapshot",
    "TrainingReport",
    "TrainingRequest",
]
