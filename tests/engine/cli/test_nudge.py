"""`xo nudge` from the outside: table, plot, nudges, gradient check, and errors."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.cli.main import main

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["nudge", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_table_says_what_each_rule_has_left_after_so_many_multiplies(capsys: pytest.CaptureFixture[str]) -> None:
    head, _, *rows = lines_of(capsys, "--multiplies", "100000")
    assert head == "| multiplies | backpropagation | nudging | nudging, whole passes |"
    table = [[float(cell.replace(",", "")) for cell in row.strip("| ").split("|")] for row in rows]
    assert [row[0] for row in table] == [0, 10_000, 20_000, 50_000, 100_000]
    assert table[0][1] == table[0][2] == table[0][3] > 0.5
    assert table[-1][1] < 0.05 < min(table[-1][2:])


def test_json_has_one_object_a_rule_and_the_same_seed_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--json", "--multiplies", "60000", "--batch", "2", "--shuffle", "--seed", "3")
    first = lines_of(capsys, *words)
    assert lines_of(capsys, *words) == first
    for line, rule in zip(first, ("backpropagation", "nudging", "nudging, whole passes"), strict=True):
        curve = json.loads(line)
        assert curve["rule"] == rule
        assert len(curve["multiplies"]) == len(curve["errors"]) == len(curve["updates"]) > 5
        assert curve["multiplies"] == sorted(set(curve["multiplies"]))
        assert curve["multiplies"][-1] >= 60_000


def test_the_picture_shows_every_curve_with_its_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "curves.svg"
    assert lines_of(capsys, "--multiplies", "50000", "--svg", str(file))[-1] == f"wrote {file}"
    picture = ElementTree.parse(file).getroot()
    words = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"backpropagation", "nudging", "nudging, whole passes", "multiplies spent", "mean error"} <= set(words)
    assert any("nudges of 0.3; seed 1" in text for text in words)
    assert len(list(picture.iter(f"{SVG}polyline"))) == 3


def test_nudges_can_be_watched(capsys: pytest.CaptureFixture[str]) -> None:
    first, *_, last = lines_of(capsys, "--steps", "57")
    assert re.fullmatch(
        r" +1  conv2d-1\.weight\[0, 0, 0, 0\] +[+-]\d\.\d{4}  error (\d\.\d+), higher (\d\.\d+), lower (\d\.\d+): "
        r"(higher|lower|unchanged)",
        first,
    )
    assert last.split()[:4] == ["57", "conv2d-1.weight[0,", "0,", "0,"]


def test_nudges_as_json_follow_from_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    nudges = [json.loads(line) for line in lines_of(capsys, "--steps", "40", "--json", "--size", "0.05")]
    assert [nudge["number"] for nudge in nudges] == list(range(1, 41))
    for nudge, following in pairwise(nudges):
        errors = {"same": nudge["error"], "up": nudge["error_up"], "down": nudge["error_down"]}
        assert errors[nudge["kept"]] == min(errors.values()) == following["error"]


def test_the_settings_of_nudges_are_heeded(capsys: pytest.CaptureFixture[str]) -> None:
    def first(*words: str) -> dict[str, object]:
        return json.loads(lines_of(capsys, "--steps", "1", "--json", *words)[0])

    plain = first()
    assert (len(plain["examples"]), plain["size"], plain["index"]) == (1, 0.3, [0, 0, 0, 0])
    assert len(first("--batch", "3")["examples"]) == 3
    assert first("--size", "0.5")["size"] == 0.5
    assert first("--shuffle")["index"] != plain["index"]
    assert first("--seed", "2")["before"] != plain["before"]
    assert first("--handmade")["before"] == pytest.approx(1 / 9)


def test_slopes_by_trying_and_by_backpropagation_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    *rows, last = lines_of(capsys, "--check")
    assert len(rows) == 56
    for row in rows:
        _, central, gradient = re.fullmatch(r"(.*?) +central (\S+)  backpropagation (\S+)", row).groups()
        assert float(central) == pytest.approx(float(gradient), abs=1e-6)
    assert re.fullmatch(r"56 values away from kinks and ties, at most \d\.\de-\d+ apart; 0 values at one\.", last)


def test_where_the_two_differ_the_command_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """The article's features make whole ninths, and so ties."""
    values = [json.loads(line) for line in lines_of(capsys, "--check", "--handmade", "--json")]
    apart = [value for value in values if abs(value["central"] - value["gradient"]) > 1e-6]
    assert apart
    for value in apart:
        assert re.fullmatch(
            r"The central difference .* layer 3 \(MaxPool2D\) has no clear winner .*\.", value["kink"]
        )
    assert all(value["kink"] is None for value in values if value["name"] != "conv2d-1.weight")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "0"], "nothing to print for 0 steps"),
        (["--multiplies", "19999"], "19,999 multiplies are too few"),
        (["--size", "0"], "nudge's size"),
        (["--batch", "0"], "batch of at least 1"),
        (["--seed", "-1", "--check"], "seed"),
        (["--rate", "-1"], "rate"),
        (["--rate", "1000"], "learning rate, 1000, is probably too high"),
        (["--multiplies", "20000", "--svg", "nowhere/at/all.svg"], "folder does not exist"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["nudge", *words]) == 1
    out, err = capsys.readouterr()
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert not out
    assert not list(tmp_path.iterdir())


def test_a_picture_of_what_has_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["nudge", "--check", "--svg", "file.svg"])
    assert "not allowed with" in capsys.readouterr().err
