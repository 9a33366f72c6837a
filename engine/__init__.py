"""The engine: build, train, run and explain a convolutional network, with every number at hand.

    import engine

    data = engine.generate_dataset(engine.XOSettings(side=16, noise=(0, 0.1)), 500, seed=1)
    layers = [engine.Conv2D(4, 3), engine.ReLU(), engine.Flatten(), engine.Dense(2)]
    network = engine.Network([1, 16, 16], layers, data.classes)
    model = engine.train(network, data, engine.TrainingConfig(epochs=3))
    (prediction,) = engine.predict(model, data.images[:1])

Everything listed in `__all__` is imported when it is first used, so that `import engine` alone loads nothing.
docs/engine.md has more examples.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.backends import Backend, choose_backend
    from engine.data import (
        DATA_KINDS,
        DataKind,
        Dataset,
        DataSettings,
        DrawingKind,
        InputSample,
        LabelledSample,
        read_dataset,
    )
    from engine.data.xo import XOSettings, generate_dataset
    from engine.documents import PRESETS, load_model, preset, save_model, shipped_model
    from engine.drawings import Drawing, DrawingTransform, Stroke, render
    from engine.explain import ExplanationQuery, receptive_field, value_formula
    from engine.formats import read_picture
    from engine.nn import Model, Network, Plan, Prediction, predict
    from engine.nn.layers import (
        LAYERS,
        AvgPool2D,
        BatchNorm2D,
        Center,
        Conv2D,
        Dense,
        Dropout,
        Flatten,
        GlobalAvgPool,
        Layer,
        LeakyReLU,
        MaxPool2D,
        ReLU,
        Residual,
        Sigmoid,
        Tanh,
        Votes,
    )
    from engine.runtime import Request, Runner, Snapshot
    from engine.training import SGD, Adam, AdamW, Cosine, History, Trainer, TrainingConfig, evaluate, train

_PACKAGES = {
    "engine.backends": ("Backend", "choose_backend"),
    "engine.data": (
        "DATA_KINDS", "DataKind", "DataSettings", "Dataset", "DrawingKind", "InputSample", "LabelledSample",
        "read_dataset",
    ),
    "engine.data.xo": ("XOSettings", "generate_dataset"),
    "engine.documents": ("PRESETS", "load_model", "preset", "save_model", "shipped_model"),
    "engine.drawings": ("Drawing", "DrawingTransform", "Stroke", "render"),
    "engine.explain": ("ExplanationQuery", "receptive_field", "value_formula"),
    "engine.formats": ("read_picture",),
    "engine.nn": ("Model", "Network", "Plan", "Prediction", "predict"),
    "engine.nn.layers": (
        "LAYERS", "AvgPool2D", "BatchNorm2D", "Center", "Conv2D", "Dense", "Dropout", "Flatten", "GlobalAvgPool",
        "Layer", "LeakyReLU", "MaxPool2D", "ReLU", "Residual", "Sigmoid", "Tanh", "Votes",
    ),
    "engine.runtime": ("Request", "Runner", "Snapshot"),
    "engine.training": (
        "SGD", "Adam", "AdamW", "Cosine", "History", "TrainingConfig", "Trainer", "evaluate", "train",
    ),
}  # fmt: skip
_PACKAGE_OF = {name: package for package, names in _PACKAGES.items() for name in names}

__all__ = ["__version__", *sorted(_PACKAGE_OF)]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("engine.installation").program_version()
    if name not in _PACKAGE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_PACKAGE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
