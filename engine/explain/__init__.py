"""Explanations of a model: attribution, ablation, feature visualization, robustness, traces of training steps."""
