"""Benchmarks: the engine beside PyTorch and ONNX Runtime, parity of devices, and the report."""

from engine.bench.cost_charts import cost_chart
from engine.bench.report import (
    REGRESSION_MARGIN,
    BenchReport,
    card_markdown,
    compare_reports,
    markdown_section,
    read_report,
    regression_text,
    report_json,
    report_markdown,
    report_text,
)
from engine.bench.suite import GPU_KINDS, KINDS, BenchSuite, case_text

__all__ = [
    "GPU_KINDS",
    "KINDS",
    "REGRESSION_MARGIN",
    "BenchReport",
    "BenchSuite",
    "card_markdown",
    "case_text",
    "compare_reports",
    "cost_chart",
    "markdown_section",
    "read_report",
    "regression_text",
    "report_json",
    "report_markdown",
    "report_text",
]
