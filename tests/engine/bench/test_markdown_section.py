"""Tables inserted into a page that has other text."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench import markdown_section
from engine.bench.contender import BenchError
from engine.bench.report import BEGIN_MARK, END_MARK


def test_only_what_lies_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Mine\n\n{BEGIN_MARK}\nold\n{END_MARK}\n\nmine too\n", "utf-8")
    once = markdown_section(page, "| a × b |\n")
    assert once == f"# Mine\n\n{BEGIN_MARK}\n\n| a × b |\n\n{END_MARK}\n\nmine too\n"
    page.write_text(once, "utf-8")
    assert markdown_section(page, "| a × b |\n") == once


def test_a_new_page_is_the_tables_alone(tmp_path: Path) -> None:
    assert markdown_section(tmp_path / "new.md", "tables\n") == "tables\n"


@pytest.mark.parametrize("text", ["# Mine\n", f"{END_MARK}\n\n{BEGIN_MARK}\n", f"{BEGIN_MARK}\n"])
def test_a_page_without_both_marks_is_not_written_over(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, "utf-8")
    with pytest.raises(BenchError, match="has no lines"):
        markdown_section(page, "tables\n")
