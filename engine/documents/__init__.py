"""What is saved and opened: models, training runs, projects, presets."""

from engine.documents.document import Document, check_input
from engine.documents.model_file import load_model, save_model, shipped_model
from engine.documents.open_request import OpenRequest, OpenResult, command_sentence, open_file, read_file
from engine.documents.presets import ARTICLE_KERNELS, DEFAULT, PRESETS, TRAINABLE_WALKTHROUGH, WALKTHROUGH, preset
from engine.documents.project_file import (
    SUFFIX,
    ProjectState,
    ProjectSummary,
    read_project_summary,
    save_project,
    shipped_run,
)
from engine.documents.training_file import FileData, InterruptedRun, load_checkpoint, save_checkpoint

__all__ = [
    "ARTICLE_KERNELS",
    "DEFAULT",
    "PRESETS",
    "SUFFIX",
    "TRAINABLE_WALKTHROUGH",
    "WALKTHROUGH",
    "Document",
    "FileData",
    "InterruptedRun",
    "OpenRequest",
    "OpenResult",
    "ProjectState",
    "ProjectSummary",
    "check_input",
    "command_sentence",
    "load_checkpoint",
    "load_model",
    "open_file",
    "preset",
    "read_file",
    "read_project_summary",
    "save_checkpoint",
    "save_model",
    "save_project",
    "shipped_model",
    "shipped_run",
]
