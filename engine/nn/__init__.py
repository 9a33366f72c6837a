"""Networks: layers in order, plans that run them, models that hold parameters, predictions."""

from engine.nn.class_editing import with_classes
from engine.nn.inference import (
    BLANK_INK,
    UNSURE,
    Activations,
    BatchPredictor,
    ChannelRanges,
    Prediction,
    Predictor,
    compute_votes,
    is_blank_picture,
    predict,
    predict_class,
)
from engine.nn.losses import cross_entropy, softmax, targets
from engine.nn.model import Model, RunPoint
from engine.nn.network import Network, Parameters
from engine.nn.plan import Plan, cheapest_order, largest_batch, plan_image_bytes
from engine.nn.weight_editing import (
    ablated,
    bias_of,
    is_ablated,
    kernel_slices,
    normalized_kernel,
    restored,
    weight_layer_of,
    with_bias,
    with_kernel_slices,
)

__all__ = [
    "BLANK_INK",
    "UNSURE",
    "Activations",
    "BatchPredictor",
    "ChannelRanges",
    "Model",
    "Network",
    "Parameters",
    "Plan",
    "Prediction",
    "Predictor",
    "RunPoint",
    "ablated",
    "bias_of",
    "cheapest_order",
    "compute_votes",
    "cross_entropy",
    "is_ablated",
    "is_blank_picture",
    "kernel_slices",
    "largest_batch",
    "normalized_kernel",
    "plan_image_bytes",
    "predict",
    "predict_class",
    "restored",
    "softmax",
    "targets",
    "weight_layer_of",
    "with_bias",
    "with_classes",
    "with_kernel_slices",
]
