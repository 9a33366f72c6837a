"""Benchmarks: the engine beside PyTorch and ONNX Runtime, parity of devices, and the report."""

from engine.bench.cost_charts import cost_chart
from engine.bench.report import (
    REGRESSION_MARGIN,
    BenchReport,
    compare_reports,
    markdown_section,
    read_report,
    regression_text,
    report_json,
    report_markdown,
    report_text,
)
from engine.bench.suite import KINDS, BenchSuite, case_text

__all__ = [
    "KINDS",
    "REGRESSION_MARGIN",
    "BenchReport",
    "BenchSuite",
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
