"""A kind of data is one line in DATA_KINDS: one that only the tests have is seen by everything in the engine."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import engine
from engine.cli.main import main
from engine.cli.train_options import command_arguments
from engine.data import DATA_KINDS, Augmentation, Dataset, LabelledSample, PoolSettings, kind_for, make_source
from engine.documents import Document, ProjectState, load_model, save_project
from engine.documents.project_file import load_project
from engine.drawings import Drawing
from engine.explain import AvailableExamples, ExplanationQuery, FeatureQuery, templates
from engine.explain.perturbation import ablation_examples
from engine.nn import Model, Network
from engine.nn.layers import Conv2D, Dense, Flatten, ReLU
from engine.runtime import Request, Runner, Snapshot, TrainingRequest
from engine.training import TrainingConfig
from tests.engine.query_driver import QueryDriver
from tests.samples import drawing_sample
from tests.toy_kind import ToyKind, ToySettings

NETWORK = Network((1, 8, 8), (Conv2D(4, 3), ReLU(), Flatten(), Dense(2)), classes=("upright", "level"))
DATA = PoolSettings(ToySettings(), 60, 20, seed=3)


def xo(*words: object) -> int:
    return main([str(word) for word in words])


def model() -> Model:
    return Model("Bars", NETWORK, NETWORK.initial_parameters(1))


# --- command line


def test_a_new_kind_is_trained_classified_and_resumed_on_the_command_line(
    toy: ToyKind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bars.safetensors"
    given = ("--data", "toy:thickness=0.2..0.3", "--examples", 200, "--hold-out", 0.2, "--batch", 16)
    assert xo("train", *given, "--epochs", 4, "--out", out) == 0
    trained = load_model(out)
    assert trained.network.classes == toy.class_names
    capsys.readouterr()
    assert xo("classify", "--data", "toy", "--examples", 40, "--model", out) == 0
    text = capsys.readouterr().out
    assert "toy[39]" in text
    share = re.search(r"accuracy ([\d.]+) % of 40 \(upright", text)
    assert share is not None
    assert float(share[1]) > 80
    # Without --data, a model file trains on the kind of data that it is for.
    assert xo("train", "--model", out, *given[2:], "--epochs", 1, "--out", tmp_path / "more.safetensors") == 0
    assert load_model(tmp_path / "more.safetensors").network.classes == toy.class_names
    assert xo("classify", "--data", "xo", "--model", out, "--json") == 1
    assert "The classes of xo are X and O, but those of this network upright and level" in capsys.readouterr().err
    assert xo("classify", "--data", "nothing", "--model", out) == 1
    assert "there are xo, toy." in capsys.readouterr().err


def test_wrong_settings_of_a_new_kind_are_refused_in_its_words(
    toy: ToyKind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"thickness=0.9": "thickness must be from 0.1 to 0.5", "size=3": "no bar setting called 'size'"}
    for settings, says in wrong.items():
        assert xo("train", "--data", f"toy:{settings}", "--out", tmp_path / "a.safetensors") == 1
        assert says in capsys.readouterr().err
    (tmp_path / "toy").mkdir()
    with pytest.raises(SystemExit):
        xo("classify")


def test_the_command_of_a_run_names_its_kind(toy: ToyKind) -> None:
    config = replace(TrainingConfig(), data=ToySettings(empty=0.25), fresh=False)
    words = command_arguments(config, ["--model", "bars.safetensors"])
    assert words[words.index("--data") + 1] == "toy:empty=0.25"
    words = command_arguments(replace(config, data=ToySettings(side=16)), ["--model", "bars.safetensors"])
    assert words[words.index("--data") + 1] == "toy"


# --- in the window's engine


def trained(steps: int, labelled: tuple[LabelledSample, ...] = ()) -> tuple[Runner, Snapshot, Request]:
    runner, subject = Runner("cpu"), model()
    goal = TrainingRequest(1, subject, "fresh", "Run 1", TrainingConfig(batch=20), DATA, labelled, True, steps)
    request = Request(
        1, Document(drawing_sample(Drawing()), (subject,), labelled_samples=labelled), training=goal, live=True
    )
    snapshot = runner.compute(request)
    while runner.busy:
        runner.run_for(0.05)
        snapshot = runner.compute(request)
    return runner, snapshot, request


def test_a_run_on_a_new_kind_is_saved_and_continued_from_the_file(toy: ToyKind, tmp_path: Path) -> None:
    mine = (LabelledSample(drawing_sample(Drawing(image=np.eye(8, dtype=np.float32) * 2 - 1)), "level", 3),)
    runner, snapshot, request = trained(6, mine)
    assert [notice.text for notice in snapshot.notices] == []
    assert snapshot.training is not None
    assert snapshot.training.examples is not None
    assert snapshot.training.examples.classes == toy.class_names
    assert (snapshot.training.examples.labels[-3:] == 1).all()
    run = runner.saved_run()
    assert run is not None
    config = replace(TrainingConfig(batch=20), data=ToySettings(empty=0.5))
    save_project(tmp_path / "a.session", ProjectState(request.document, config, DATA, run, saved_at=1.0))
    again = load_project(tmp_path / "a.session")
    assert (again.data, again.config) == (DATA, config)
    assert again.run is not None
    assert again.run.branch_origins[0].training_data.generated == DATA
    goal = TrainingRequest(1, again.document.models[0], "kept", "Run 1", TrainingConfig(batch=20), DATA, mine)
    goal = replace(goal, running=True, stop_at_step=8, saved_run=again.run)
    more = replace(request, document=again.document, training=goal)
    _, straight, _ = trained(8, mine)
    continuing = Runner("cpu")
    continued = continuing.compute(more)
    while continuing.busy:
        continuing.run_for(0.05)
        continued = continuing.compute(more)
    for name, values in straight.predictions[0].model.parameters.items():
        np.testing.assert_array_equal(continued.predictions[0].model.parameters[name], values)


def test_a_kind_that_is_not_there_is_said_when_a_file_is_opened(
    toy: ToyKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_project(
        tmp_path / "a.session",
        ProjectState(Document.blank(model()), TrainingConfig(), DATA),
    )
    monkeypatch.delitem(DATA_KINDS, "toy")
    with pytest.raises(ValueError, match=r"an input of the kind .toy., and the kinds that can be read are xo"):
        load_project(tmp_path / "a.session")


def test_explanations_use_the_examples_of_a_new_kind(toy: ToyKind) -> None:
    assert kind_for(NETWORK) is toy
    assert templates(NETWORK) is None, "bars have no templates"
    examples, held_out = ablation_examples(NETWORK, None)
    assert (examples.classes, held_out) == (toy.class_names, False)
    _, snapshot, _ = trained(1)
    assert snapshot.training is not None
    lesson = snapshot.training.request.training_data
    explainer, query = (
        QueryDriver(),
        ExplanationQuery("likes", layer=1, feature=FeatureQuery(1, 0, training_data=lesson)),
    )
    explainer.set_query(query, snapshot.predictions, True, False, AvailableExamples(lesson, None, None))
    while explainer.busy:
        explainer.run_for(0.05)
    assert explainer.result is not None
    assert {one.label for one in explainer.result.profile.highest} <= {"upright", "level"}
    assert explainer.result.profile.distribution.peaks.shape[0] == 3


def test_robustness_tests_need_a_kind_that_can_be_varied(
    toy: ToyKind, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine.save_model(tmp_path / "bars.safetensors", model())
    assert xo("robustness", "--model", tmp_path / "bars.safetensors") == 1
    said = capsys.readouterr().err
    assert "No varied inputs can be made for a network with input 1 × 8 × 8 and classes upright, level" in said
    assert "there are drawings of X and O." in said


def test_examples_may_have_any_number_of_channels() -> None:
    images = np.random.default_rng(1).uniform(-1, 1, (6, 3, 5, 7)).astype(np.float32)
    data = Dataset(images, np.arange(6) % 2, ("a", "b"))
    turned = make_source(data, Augmentation(shift=0.3, flip=True), 1).epoch(0).images
    for channel in range(3):
        alone = Dataset(images[:, channel : channel + 1].copy(), data.labels, data.classes)
        of_channel = make_source(alone, Augmentation(shift=0.3, flip=True), 1).epoch(0).images
        np.testing.assert_array_equal(turned[:, channel : channel + 1], of_channel)


# --- the source


# The public face hands the generator on; presets and the article's way of learning are data of X and O.
MAY_IMPORT_XO = {"engine/__init__.py", "engine/data/kinds.py", "engine/documents/presets.py", "engine/cli/nudge.py"}


def test_nothing_outside_its_package_knows_x_and_o_by_name() -> None:
    root, named, imported = Path(__file__).resolve().parents[3], set(), set()
    for path in sorted([*root.joinpath("engine").rglob("*.py"), *root.joinpath("xo_gui").rglob("*.py")]):
        file = path.relative_to(root).as_posix()
        if file.startswith("engine/data/xo/"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = getattr(node, "id", getattr(node, "name", ""))
            if (isinstance(node, ast.Constant) and node.value in ("X", "O")) or called == "CLASSES":
                named.add(file)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engine.data.xo"):
                imported.add(file)
    assert (named, imported) == (set(), MAY_IMPORT_XO)
