"""Explanations of a trained model: attribution, feature visualization, robustness, one training step in detail."""

from engine.explain.counterfactual import Counterfactual
from engine.explain.explainer import AvailableExamples, Explainer
from engine.explain.feature_profile import FeatureProfile, FeatureQuery, FeatureWeights, same_weights
from engine.explain.model_difference import ModelDifference
from engine.explain.queries import (
    INPUT_INDEPENDENT_KINDS,
    SLOW_KINDS,
    VALUE_KINDS,
    Answer,
    Explanation,
    ExplanationKind,
    ExplanationQuery,
    Query,
)
from engine.explain.receptive_fields import receptive_field, receptive_runs
from engine.explain.robustness import (
    COARSE_ROUNDS,
    ROUNDS,
    RobustnessResult,
    RobustnessTest,
    supports,
)
from engine.explain.step_trace import NudgeResult, ParameterIndex, StepQuery, StepTrace, WeightTrace
from engine.explain.step_tracer import StepStart, StepTracer
from engine.explain.template_matching import TemplateMatch, Templates, match_templates, templates
from engine.explain.top_examples import TopExample
from engine.explain.value_arithmetic import (
    cell_index,
    contribution,
    has_value_formula,
    softmax_terms,
    value_formula,
)

__all__ = [
    "COARSE_ROUNDS",
    "INPUT_INDEPENDENT_KINDS",
    "ROUNDS",
    "SLOW_KINDS",
    "VALUE_KINDS",
    "Answer",
    "AvailableExamples",
    "Counterfactual",
    "Explainer",
    "Explanation",
    "ExplanationKind",
    "ExplanationQuery",
    "FeatureProfile",
    "FeatureQuery",
    "FeatureWeights",
    "ModelDifference",
    "NudgeResult",
    "ParameterIndex",
    "Query",
    "RobustnessResult",
    "RobustnessTest",
    "StepQuery",
    "StepStart",
    "StepTrace",
    "StepTracer",
    "TemplateMatch",
    "Templates",
    "TopExample",
    "WeightTrace",
    "cell_index",
    "contribution",
    "has_value_formula",
    "match_templates",
    "receptive_field",
    "receptive_runs",
    "same_weights",
    "softmax_terms",
    "supports",
    "templates",
    "value_formula",
]
