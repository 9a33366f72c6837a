"""How `python3 -m tests` shares the tests among processes."""

import pytest

from tests.__main__ import xdist_options


@pytest.mark.parametrize("arguments", [[], ["--nightly"], ["-q", "--durations=60"], ["-x"]])
def test_all_tests_are_shared_among_processes(arguments: list[str]) -> None:
    assert xdist_options(arguments)[:2] == ["--numprocesses", "auto"]


@pytest.mark.parametrize("arguments", [["-k", "canvas"], ["tests/test_main.py"], ["-q", "tests/engine"]])
def test_what_is_picked_runs_in_this_process(arguments: list[str]) -> None:
    assert xdist_options(arguments) == []
