"""What is saved and opened: models, training runs, projects, presets."""

from engine.documents.class_edits import (
    MAX_CLASS_NAME,
    MIN_CLASSES,
    add_class,
    class_marks,
    delete_class,
    mark_class,
    merge_classes,
    move_class,
    rename_class,
)
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
    "MAX_CLASS_NAME",
    "MIN_CLASSES",
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
    "add_class",
    "check_input",
    "class_marks",
    "command_sentence",
    "delete_class",
    "load_checkpoint",
    "load_model",
    "mark_class",
    "merge_classes",
    "move_class",
    "open_file",
    "preset",
    "read_file",
    "read_project_summary",
    "rename_class",
    "save_checkpoint",
    "save_model",
    "save_project",
    "shipped_model",
    "shipped_run",
]
