"""The state of the window: session, commands, controllers, engine thread, autosave."""

from xo_gui.state.autosave import Autosave, SessionOffer, session_folder
from xo_gui.state.commands import (
    BranchWithNewData,
    Command,
    CompareWithCurrent,
    CompareWithFile,
    CompareWithPreset,
    OneEpoch,
    OneStep,
    Pause,
    RenameBranch,
    Restart,
    SetBranchVisible,
    SetConfig,
    SetData,
    SetSpeedLimit,
    ShowPoint,
    Start,
    StopComparing,
    SwapModels,
    TrainFromCurrentWeights,
    TrainingSettings,
)
from xo_gui.state.comparison_controller import ComparisonController
from xo_gui.state.engine_thread import EngineThread
from xo_gui.state.selection import CellRef, Selection
from xo_gui.state.session import Session
from xo_gui.state.statement import Statement
from xo_gui.state.training_controller import TrainingController
from xo_gui.state.training_state import has_done_all_epochs
from xo_gui.state.training_transitions import stop_reason_text
from xo_gui.state.visible_values import MAX_TRACED_VALUES

__all__ = [
    "MAX_TRACED_VALUES",
    "Autosave",
    "BranchWithNewData",
    "CellRef",
    "Command",
    "CompareWithCurrent",
    "CompareWithFile",
    "CompareWithPreset",
    "ComparisonController",
    "EngineThread",
    "OneEpoch",
    "OneStep",
    "Pause",
    "RenameBranch",
    "Restart",
    "Selection",
    "Session",
    "SessionOffer",
    "SetBranchVisible",
    "SetConfig",
    "SetData",
    "SetSpeedLimit",
    "ShowPoint",
    "Start",
    "Statement",
    "StopComparing",
    "SwapModels",
    "TrainFromCurrentWeights",
    "TrainingController",
    "TrainingSettings",
    "has_done_all_epochs",
    "session_folder",
    "stop_reason_text",
]
