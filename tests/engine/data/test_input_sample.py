"""Inputs whose sources are no drawings go wherever a drawing goes: nothing outside their kind knows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.cli.main import main
from engine.data import DATA_KINDS, InputSample, LabelledSample, PoolSettings, encode_labelled, read_dataset
from engine.data.xo import XOSettings
from engine.documents import (
    Document,
    OpenRequest,
    ProjectState,
    load_model,
    open_file,
    save_model,
    save_project,
    shipped_model,
)
from engine.documents.project_file import load_project
from engine.drawings import Drawing
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten, ShapeError
from engine.runtime import LabelledPredictionsQuery, Request, Runner
from engine.training import TrainingConfig
from tests.samples import drawing_sample
from tests.toy_kind import Row, RowKind, RowSettings

NETWORK = Network((1, 1, 4), (Flatten(), Dense(2)), classes=("rising", "falling"))
RISING, FALLING = Row((-1.0, -0.25, 0.25, 1.0)), Row((1.0, 0.25, -0.25, -1.0))
DRAWING = Drawing(image=np.eye(5, dtype=np.float32))


def slope() -> Model:
    """Reads a row as what it is."""
    (weight,) = (name for name in NETWORK.parameter_shapes if name.endswith("weight"))
    values = {name: np.zeros(shape, np.float32) for name, shape in NETWORK.parameter_shapes.items()}
    values[weight] = np.array([[-1, 0, 0, 1], [1, 0, 0, -1]], np.float32).reshape(values[weight].shape)
    return Model("Slope", NETWORK, values)


def test_a_row_is_predicted_and_so_are_the_labelled_ones(rows: RowKind) -> None:
    labelled = (
        LabelledSample(InputSample(rows, FALLING), "falling"),
        LabelledSample(drawing_sample(DRAWING), "rising"),
    )
    document = replace(Document.blank(slope()).with_source(RISING), labelled_samples=labelled)
    runner, query = Runner("cpu"), LabelledPredictionsQuery()
    request = Request(1, document, queries=frozenset({query}))
    snapshot = runner.compute(request)
    assert snapshot.input.source is RISING
    assert snapshot.predictions[0].predicted_class == "rising"
    while runner.busy:
        runner.run_for(0.05)
    found = runner.compute(request).result(query)
    assert found is not None
    # The drawing, which the network cannot read, has no prediction.
    assert {sample.source: each.predicted_class for sample, each in found.items()} == {FALLING: "falling"}


def test_a_row_of_the_least_values_is_no_blank_canvas(rows: RowKind) -> None:
    document = Document.blank(slope()).with_source(Row((-1.0, -1.0, -1.0, -0.999)))
    labelled = (LabelledSample(document.input, "rising"),)
    runner, query = Runner("cpu"), LabelledPredictionsQuery()
    request = Request(1, replace(document, labelled_samples=labelled), queries=frozenset({query}))
    prediction = runner.compute(request).predictions[0]
    assert (prediction.is_blank, prediction.predicted_class) == (False, "rising")
    while runner.busy:
        runner.run_for(0.05)
    (found,) = (runner.compute(request).result(query) or {}).values()
    assert found.predicted_class == "rising"


def test_a_project_keeps_inputs_of_several_kinds(rows: RowKind, tmp_path: Path) -> None:
    labelled = (
        LabelledSample(drawing_sample(DRAWING), "rising"),
        LabelledSample(InputSample(rows, FALLING), "falling", 3),
        LabelledSample(InputSample(rows, RISING), "rising"),
    )
    document = replace(Document.blank(slope()).with_source(RISING), labelled_samples=labelled)
    save_project(
        tmp_path / "a.session", ProjectState(document, TrainingConfig(), PoolSettings(RowSettings(), 20, 10))
    )
    found = load_project(tmp_path / "a.session").document
    assert (found.input.kind, found.input.source) == (rows, RISING)
    drawing, *others = found.labelled_samples
    np.testing.assert_array_equal(drawing.sample.source.image, DRAWING.image)
    assert [(each.sample.source, each.label, each.weight) for each in others] == [
        (FALLING, "falling", 3),
        (RISING, "rising", 1),
    ]


def test_a_network_of_another_kind_has_a_blank_input_and_one_of_the_same_keeps_it(rows: RowKind) -> None:
    drawn = Document.blank(shipped_model("default")).with_source(DRAWING)
    other = drawn.with_models((slope(),))
    assert (other.input.kind, other.input.source) == (rows, rows.blank())
    assert drawn.with_models((shipped_model("walkthrough"),)).input.source is DRAWING
    assert drawn.input.source is DRAWING
    with pytest.raises(ValueError, match="Drawing is no row"):
        other.with_source(DRAWING)
    with pytest.raises(ValueError, match="Drawing is no row"):
        Document(drawn.input, (slope(),))


def test_a_file_is_read_as_the_kind_that_the_network_reads(rows: RowKind, tmp_path: Path) -> None:
    path = tmp_path / "row.txt"
    path.write_text("-1 -0.5 0 1")
    opened = open_file(OpenRequest(1, path, rows)).content
    assert isinstance(opened, InputSample)
    assert (opened.kind, opened.source) == (rows, Row((-1, -0.5, 0, 1)))
    path.write_text("no numbers")
    assert open_file(OpenRequest(2, path, rows)).error == f"{path} is no row of numbers."


def test_rows_are_trained_and_classified_on_the_command_line(
    rows: RowKind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, row = tmp_path / "rows.safetensors", tmp_path / "row.txt"
    save_model(model, replace(slope(), parameters=NETWORK.initial_parameters(1)))
    given = ("--model", str(model), "--data", "rows:noise=0.2", "--rate", "0.1", "--epochs", "8")
    assert main(["train", *given, "--examples", "200", "--out", str(model)]) == 0
    row.write_text("1 0.5 -0.5 -1")
    capsys.readouterr()
    assert main(["classify", str(row), "--model", str(model)]) == 0
    assert "falling" in capsys.readouterr().out.split()
    assert main(["classify", "--data", "rows", "--examples", "20", "--model", str(model)]) == 0
    assert "accuracy 100" in capsys.readouterr().out


def test_a_folder_is_read_by_the_kind_of_the_table_that_makes_such_inputs_of_files(
    rows: RowKind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label, row in (("up", "-1 0 0 1"), ("down", "1 0 0 -1")):
        (tmp_path / "set" / label).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "set" / label / f"{number}.txt").write_text(row)
    model = tmp_path / "rows.safetensors"
    save_model(model, replace(slope(), parameters=NETWORK.initial_parameters(1)))
    given = ("--model", str(model), "--data", str(tmp_path / "set"), "--rate", "0.1", "--epochs", "8")
    assert main(["train", *given, "--from-scratch", "--out", str(model)]) == 0
    assert load_model(model).network.classes == ("down", "up")
    with pytest.raises(ShapeError, match="pictures from files are one square map"):
        read_dataset(tmp_path, (3, 8, 8))
    assert DATA_KINDS["pictures"].reads_examples((1, 8, 8))
    with pytest.raises(ValueError, match="Pictures cannot be generated; give the path of a file or folder"):
        DATA_KINDS["pictures"].default_settings()


def test_labelled_samples_of_another_kind_are_refused_in_one_sentence(rows: RowKind) -> None:
    labelled = [LabelledSample(InputSample(rows, RISING), "X")]
    with pytest.raises(ValueError, match=r"A row is labelled X, but the network reads drawings; delete the row\."):
        encode_labelled(labelled, XOSettings())
    found = encode_labelled([LabelledSample(InputSample(rows, RISING), "rising", 2)], RowSettings())
    np.testing.assert_allclose(found.images, [[[RISING.values]]] * 2)
    assert "rows" in DATA_KINDS
