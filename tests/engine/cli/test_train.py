"""`xo train` from the outside: its options, what it prints and writes, and how it fails."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli.main import main
from engine.cli.train_options import parse_data_settings, parse_optimizer, parse_schedule
from engine.data.xo import XOSettings
from engine.documents import DEFAULT, load_checkpoint, load_model, save_model
from engine.nn import Model, Network
from engine.nn.layers import Dense, Flatten
from engine.training import SGD, AdamW, Cosine, Schedule, Trainer
from engine.training.config import Linear, StepDecay
from engine.training.optimizers import Adam

SHORT = ("--examples", 40, "--epochs", 2, "--batch", 16, "--hold-out", 0.5)


def train(*words: object) -> int:
    return main(["train", *map(str, words)])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "a.safetensors"


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """A folder for each of three classes: a horizontal bar, a vertical bar, a square; and one of no class."""
    shapes = {"dash": (slice(14, 18), slice(4, 28)), "stroke": (slice(4, 28), slice(14, 18))}
    shapes |= {"square": (slice(8, 24), slice(8, 24))}
    rng = np.random.default_rng(1)
    for name, shape in shapes.items():
        (tmp_path / "letters" / name).mkdir(parents=True)
        for number in range(12):
            picture = np.full((32, 32), 255, np.uint8)
            picture[shape] = 0
            shifted = np.roll(picture, rng.integers(-3, 4, 2), (0, 1))
            Image.fromarray(shifted).save(tmp_path / "letters" / name / f"{number}.png")
    return tmp_path / "letters"


# --- what it prints and writes


def test_a_line_an_epoch_and_a_model_that_says_where_it_comes_from(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--out", out, *SHORT, "--seed", 3) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("Default on CPU (")
    assert lines[0].endswith("seed 3")
    assert lines[1] == "2 epochs of 40 fresh drawings, 20 held out"
    assert [line.split()[:2] for line in lines[2:4]] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert all("held out" in line and "examples/s" in line for line in lines[2:4])
    assert lines[4] == "All epochs are done. 6 steps were made."
    assert [line.split()[0] for line in lines[7:10]] == ["X", "O", "neither"]
    assert lines[-1] == f"wrote {out}"
    assert (printed.err, "\r" in printed.out) == ("", False)
    model = load_model(out)
    assert (model.name, model.network) == ("Default", DEFAULT.network)
    assert model.threshold is not None
    command = "xo train --seed 3 --preset default --hold-out 0.5 --batch 16 --epochs 2 --examples 40"
    assert model.origin["command"] == f"{command} --out a.safetensors"
    assert (model.origin["ended"], model.origin["steps"]) == ("epochs", 6)
    confusion = model.origin["held_out"]["confusion"]
    assert np.sum(confusion) == 20
    assert [int(cell) for line in lines[7:10] for cell in line.split()[1:3]] == np.ravel(confusion).tolist()
    assert list(out.parent.iterdir()) == [out]


def test_json_lines(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out", out, *SHORT, "--json") == 0
    printed = capsys.readouterr()
    *epochs, end = (json.loads(line) for line in printed.out.splitlines())
    assert printed.err == ""
    assert [list(each) for each in epochs] == [
        ["event", "epoch", "epochs", "step", "loss", "held_out", "examples_per_second", "seconds"]
    ] * 2
    assert [(each["event"], each["epoch"], each["epochs"], each["step"]) for each in epochs] == [
        ("epoch", 1, 2, 3),
        ("epoch", 2, 2, 6),
    ]
    held_out = end["held_out"]
    assert list(end) == ["event", "reason", "step", "seconds", "held_out", "threshold", "model", "checkpoint"]
    assert (end["event"], end["reason"], end["step"]) == ("end", "epochs", 6)
    assert (end["model"], end["checkpoint"]) == (str(out), None)
    # The last epoch's judgement is of the same weights as the model's.
    assert {name: held_out[name] for name in epochs[-1]["held_out"]} == epochs[-1]["held_out"]
    rows = dict(zip(("X", "O", "neither"), held_out["confusion"], strict=True))
    assert held_out["by_class"]["X"] == pytest.approx(rows["X"][0] / sum(rows["X"]), abs=1e-5)
    right, labelled = rows["X"][0] + rows["O"][1], sum(rows["X"]) + sum(rows["O"])
    assert held_out["accuracy"] == pytest.approx(right / labelled, abs=1e-5)
    assert set(held_out["named"]) == {"X", "O", "neither"}
    assert load_model(out).threshold == end["threshold"]


def test_without_neither_there_is_no_threshold(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out", out, *SHORT, "--data", "xo:neither=0") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[7:]] == ["X", "O", "wrote"]
    assert load_model(out).threshold is None


def test_nothing_held_out(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--out", out, "--examples", 20, "--epochs", 2, "--hold-out", 0, "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["event"] for each in told] == ["epoch", "epoch", "end"]
    assert [each["held_out"] for each in told] == [None] * 3
    assert "held_out" not in load_model(out).origin


def test_the_same_seed_writes_the_same_model(out: Path, tmp_path: Path) -> None:
    """Another folder makes no difference."""
    (tmp_path / "other").mkdir()
    models = []
    for place, seed in ((out, 5), (tmp_path / "other" / out.name, 5), (out, 6)):
        assert train("--out", place, *SHORT, "--seed", seed) == 0
        models.append(place.read_bytes())
    assert models[0] == models[1] != models[2]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--patience", 1, "--optimizer", "sgd", "--rate", 1.0), "patience"),
        (("--target", 0.01), "target"),
        (("--seconds", 1e-9), "seconds"),
        (("--steps", 3), "steps"),
    ],
)
def test_why_it_ended(
    out: Path, capsys: pytest.CaptureFixture[str], words: tuple[object, ...], reason: str
) -> None:
    assert train("--out", out, "--examples", 16, "--epochs", 40, "--hold-out", 1 / 4, "--json", *words) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert end["reason"] == reason
    assert end["step"] < 40
    assert load_model(out).origin["ended"] == reason


def test_settings_reach_the_run(out: Path) -> None:
    words = ("--optimizer", "sgd:nesterov=yes", "--momentum", 0.5, "--rate", 0.125, "--l2", 0.25, "--clip", 2)
    more = ("--schedule", "linear:final=0.5,warmup=0.25", "--freeze", "conv2d-1, conv2d-2", "--data", "xo:cut=0")
    assert train("--out", out, *SHORT, *words, *more) == 0
    model = load_model(out)
    config = model.origin["recipe"]
    assert config["optimizer"] == {"kind": "sgd", "rate": 0.125, "momentum": 0.5, "nesterov": True}
    assert config["schedule"] == {"kind": "linear", "final": 0.5, "warmup": 0.25}
    assert (config["l2"], config["clip"], config["batch"]) == (0.25, 2.0, 16)
    assert (config["data"]["cut"], config["data"]["neither"], config["data"]["side"]) == (0.0, 0.3, 48)
    fresh = DEFAULT.network.initial_parameters(1)
    for name, values in model.parameters.items():
        assert np.array_equal(values, fresh[name]) == name.startswith(("conv2d-1", "conv2d-2")), name


def test_a_model_is_the_start_of_another(out: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_model(start, Model("Mine", DEFAULT.network, DEFAULT.network.initial_parameters(77)))
    words = ("--rate", 1e-30, "--optimizer", "sgd", "--epochs", 1)
    assert train("--model", start, "--out", out, "--examples", 8, "--hold-out", 0, *words) == 0
    model = load_model(out)
    assert model.name == "Mine"
    for name, values in DEFAULT.network.initial_parameters(77).items():
        np.testing.assert_allclose(model.parameters[name], values, atol=1e-20)


# --- examples from files


def test_a_models_network_may_be_learnt_from_scratch(out: Path, tmp_path: Path) -> None:
    network = Network((1, 10, 10), (Flatten(), Dense(3), Dense(2)), classes=("X", "O"))
    save_model(tmp_path / "own.safetensors", Model("Own", network, network.initial_parameters(77)))
    words = ("--model", tmp_path / "own.safetensors", "--from-scratch", *SHORT, "--steps", 1, "--seed", 4)
    assert train("--out", out, *words, "--freeze", "dense-1") == 0
    model = load_model(out)
    assert model.network == network
    np.testing.assert_array_equal(
        model.parameters["dense-1.weight"], network.initial_parameters(4)["dense-1.weight"]
    )
    assert "--from-scratch" in model.origin["command"]


def test_the_network_follows_the_classes_of_a_folder(
    letters: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--data", letters, "--hold-out", 0.25, "--epochs", 6, "--batch", 9, "--out", out) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "6 epochs of 27 examples, 9 held out"
    model = load_model(out)
    assert model.network.classes == ("dash", "square", "stroke")
    assert model.network.layers == (*DEFAULT.network.layers[:-1], replace(DEFAULT.network.layers[-1], units=3))
    assert model.threshold is None
    assert model.origin["held_out"]["accuracy"] > 0.7
    assert set(model.origin["data"]) == {"hold_out", "sha256"}
    assert str(letters.parent) not in json.dumps(model.origin)


def test_a_class_with_a_single_picture_is_said(
    letters: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 12):
        (letters / "dash" / f"{number}.png").unlink()
    assert train("--data", letters, "--epochs", 1, "--batch", 9, "--out", out, "--json") == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"xo: {letters} has a single picture of dash: it is trained on")
    assert printed.err.count("\n") == 1
    assert all(json.loads(line) for line in printed.out.splitlines())


def test_neither_among_the_examples_gives_a_threshold(letters: Path, out: Path) -> None:
    (letters / "neither").mkdir()
    rng = np.random.default_rng(2)
    for number in range(12):
        Image.fromarray(rng.integers(0, 256, (32, 32)).astype(np.uint8)).save(letters / "neither" / f"{number}.png")
    assert train("--data", letters, "--hold-out", 0.5, "--epochs", 1, "--batch", 9, "--out", out) == 0
    model = load_model(out)
    assert model.network.classes == ("dash", "square", "stroke")
    assert model.threshold is not None


def test_what_was_learnt_stays_where_the_classes_change(letters: Path, out: Path, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    save_model(start, Model("Mine", DEFAULT.network, DEFAULT.network.initial_parameters(77)))
    words = ("--freeze", "conv2d-1,conv2d-2,dense-1", "--epochs", 1)
    assert train("--model", start, "--data", letters, "--out", out, *words) == 0
    model = load_model(out)
    for name, values in DEFAULT.network.initial_parameters(77).items():
        if not name.startswith("dense-2"):
            np.testing.assert_array_equal(model.parameters[name], values)
    assert model.parameters["dense-2.weight"].shape == (3, 32)


def test_an_npz_is_trained_on_too(out: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (30, 32, 32)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(30) % 2)
    assert train("--data", tmp_path / "a.npz", "--epochs", 1, "--out", out, "--augment", "shift=0.1,flip=yes") == 0
    model = load_model(out)
    assert model.network.classes == ("X", "O")
    assert model.origin["recipe"]["augmentation"]["flip"] is True


# --- how it fails


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--out", "a.txt"), "ends in .safetensors"),
        (("--out", "no/a.safetensors"), "its folder does not exist"),
        (("--out", "folder.safetensors"), "is a folder"),
        (("--preset", "walkthrough"), "has nothing to train"),
        (("--preset", "nothing"), "There is no preset called 'nothing'"),
        (("--recipe", "fast"), "has no recipe called 'fast'"),
        (("--data", "missing"), "missing does not exist"),
        (("--data", "xo:size=3"), "size must be from"),
        (("--data", "xo:size=0.9..0.3"), "must not start above its end"),
        (("--data", "xo:colour=1"), "There is no drawing setting called 'colour'"),
        (("--data", "xo:size"), "The drawing setting 'size' is incomplete"),
        (("--data", "xo:cut=1,cut=0"), "drawing setting cut is given twice"),
        (("--augment", "shift=0.1"), "--augment is for pictures from files"),
        (("--optimizer", "lion"), "There is no optimizer called 'lion'; there are sgd, adam, adamw."),
        (("--optimizer", "adam:speed=1"), "no optimizer setting called 'speed'"),
        (("--optimizer", "adam:beta1=x"), "The optimizer settings are invalid"),
        (("--momentum", "0.9"), "Only sgd has momentum, not adamw"),
        (("--schedule", "stairs"), "There is no schedule called 'stairs'"),
        (("--rate", "-1"), "learning rate must be a number above 0"),
        (("--batch", "0"), "batch of at least 1"),
        (("--hold-out", "-1"), "must be at least 0"),
        (("--data", "missing", "--hold-out", "1"), "must be at least 0 and below 1"),
        (("--data", "missing", "--fixed"), "--fixed is for generated drawings"),
        (("--from-scratch",), "--from-scratch is for --model"),
        (("--steps", "0"), "at least 1 step"),
        (("--hold-out", "0", "--patience", "2"), "give the run some"),
        (("--freeze", "dense-3"), "dense-3"),
        (("--examples", "1000000"), "take more than 1 GiB"),
        (("--resume", "missing.checkpoint"), "missing.checkpoint does not exist"),
        (("--resume", "a.npz"), "cannot be resumed from"),
    ],
    ids=" ".join,
)
def test_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.safetensors").mkdir()
    np.savez(tmp_path / "a.npz", images=np.zeros((1, 2, 2)))
    out = () if "--out" in words else ("--out", "a.safetensors")
    assert train(*out, *words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("xo: ")
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "--out is required"),
        (("--out", "a.safetensors", "--epochs", "many"), "invalid int value"),
        (("--resume", "a.checkpoint", "--preset", "default"), "not allowed with"),
        (("--resume", "a.checkpoint", "--batch", "3"), "--batch can be given only at the start of a run"),
        (("--resume", "a.checkpoint", "--hold-out", "0.3"), "--hold-out can be given only at the start of a run"),
        (("--resume", "a.checkpoint", "--fixed"), "--fixed can be given only at the start of a run"),
    ],
    ids=" ".join,
)
def test_words_that_mean_nothing(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(SystemExit) as raised:
        train(*words)
    assert raised.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_network_that_reads_no_drawings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = Network((1, 4, 5), (Flatten(), Dense(2)), classes=("X", "O"))
    save_model(tmp_path / "wide.safetensors", Model("Wide", network, network.initial_parameters(1)))
    assert train("--model", tmp_path / "wide.safetensors", "--out", tmp_path / "a.safetensors") == 1
    assert "the network's input is 1 × 4 × 5; give it pictures" in capsys.readouterr().err


def test_divergence_keeps_the_last_finite_weights_and_the_old_model(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out.write_bytes(b"the model of last week")
    assert train("--out", out, *SHORT, "--optimizer", "sgd", "--rate", 1e30, "--json") == 1
    printed = capsys.readouterr()
    kept = out.with_name("a.diverged.safetensors")
    assert re.match(
        r"xo: The error stopped being a finite number at step \d: the learning rate, 1e\+30,", printed.err
    )
    assert f"They are in {kept}. Start again with a smaller --rate.\n" in printed.err
    assert printed.err.count("\n") == 1
    end = json.loads(printed.out.splitlines()[-1])
    assert (end["event"], end["reason"], end["model"]) == ("end", "diverged", str(kept))
    assert 1 <= end["step"] <= 3
    model = load_model(kept)
    assert all(np.isfinite(values).all() for values in model.parameters.values())
    assert not np.array_equal(
        model.parameters["dense-2.weight"], DEFAULT.network.initial_parameters(1)["dense-2.weight"]
    )
    assert out.read_bytes() == b"the model of last week"


# --- settings in words


def test_settings_in_words() -> None:
    assert parse_optimizer("sgd") == SGD()
    assert parse_optimizer("sgd:momentum=0.5,nesterov=true") == SGD(momentum=0.5, nesterov=True)
    assert parse_optimizer("adam:beta1=0.5,epsilon=1e-6") == Adam(beta1=0.5, epsilon=1e-6)
    assert parse_optimizer("adamw:decay=0") == AdamW(decay=0)
    assert parse_schedule("constant:warmup=0.1") == Schedule(warmup=0.1)
    assert parse_schedule("cosine") == Cosine()
    assert parse_schedule("linear:final=0.5") == Linear(0.5)
    assert parse_schedule("steps:parts=4,factor-each=0.5") == StepDecay(4, 0.5)
    usual = XOSettings(side=20, neither=0.5)
    assert parse_data_settings("xo", usual) == usual
    given = parse_data_settings("xo:size=0.3..0.9, pen-width=0.1,rotation=-5..5,cut=0", usual)
    assert given == XOSettings(
        side=20, neither=0.5, size=(0.3, 0.9), pen_width=(0.1, 0.1), rotation=(-5.0, 5.0), cut=0.0
    )


# --- going on


def test_a_run_that_was_interrupted_earlier_is_not_lost(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aside = out.with_suffix(".checkpoint")
    aside.write_bytes(b"days of work")
    assert train("--out", out, *SHORT) == 1
    assert f"resume it with xo train --resume {aside}, or remove it first" in capsys.readouterr().err
    assert aside.read_bytes() == b"days of work"


def interrupt(monkeypatch: pytest.MonkeyPatch, letters: Path, out: Path, at: tuple[int, int]) -> Path:
    """Train on files and press Ctrl+C twice at this epoch and step of it; returns the file to resume from."""
    from engine.training import Trainer

    make_steps = Trainer._make_steps

    def stops(trainer: Trainer, epoch: int, row: int) -> object:
        if (epoch, row) == at:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return make_steps(trainer, epoch, row)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_make_steps", stops)
        words = ("--data", letters, "--hold-out", 0.25, "--epochs", 3, "--batch", 9, "--patience", 3)
        assert train("--out", out, *words) == 130
    return out.with_suffix(".checkpoint")


@pytest.fixture
def interrupted(
    letters: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Path:
    """A run on files that was interrupted in its second epoch, by Ctrl+C pressed twice."""
    aside = interrupt(monkeypatch, letters, out, (1, 1))
    assert capfd.readouterr().err.splitlines()[1:] == [
        "Stopping after this step, and saving the run ...",
        f"Stopped after step 5; the run is saved in {aside}. Resume with: xo train --resume {aside}",
    ]
    return aside


def test_resumed_it_writes_the_model_it_would_have_written(interrupted: Path, letters: Path, out: Path) -> None:
    """Nothing but the file is needed, and nothing is left of it; one that never stopped gives the same bytes."""
    assert not out.exists()
    assert train("--resume", interrupted) == 0
    assert not interrupted.exists()
    resumed = out.read_bytes()
    words = ("--data", letters, "--hold-out", 0.25, "--epochs", 3, "--batch", 9, "--patience", 3)
    assert train("--out", out, *words) == 0
    assert out.read_bytes() == resumed


def test_resumed_with_other_settings_it_says_so(
    interrupted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "b.safetensors"
    assert train("--resume", interrupted, "--out", other, "--rate", 0.5, "--epochs", 2, "--json") == 0
    epochs = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(each["event"], each["step"]) for each in epochs] == [("epoch", 6), ("end", 6)]
    origin = load_model(other).origin
    assert origin["changed"] == ["at step 5: --rate 0.5 --epochs 2"]
    assert origin["recipe"]["optimizer"]["rate"] == 0.5


def test_an_epoch_beyond_those_that_are_wanted_is_not_counted_past_them(
    letters: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run that has made two epochs and evaluates the second, told that one is enough: no "epoch 2/1"."""
    aside = interrupt(monkeypatch, letters, out, (1, 2))
    capfd.readouterr()
    assert train("--resume", aside, "--epochs", 1) == 0
    assert re.findall(r"epoch (\d+/\d+)", capfd.readouterr().out) == ["2/2"]


def test_resumed_on_examples_that_moved_or_changed(
    interrupted: Path, letters: Path, out: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = load_checkpoint(interrupted)
    moved = letters.rename(letters.with_name("elsewhere"))
    assert train("--resume", interrupted) == 1
    assert "does not exist" in capfd.readouterr().err
    victim = moved / "dash" / "0.png"
    kept = victim.read_bytes()
    victim.write_bytes((moved / "square" / "0.png").read_bytes())
    assert train("--resume", interrupted, "--data", moved) == 1
    assert "are no longer those the run started with" in capfd.readouterr().err
    assert load_checkpoint(interrupted).checkpoint.steps == before.checkpoint.steps
    victim.write_bytes(kept)
    assert train("--resume", interrupted, "--data", moved) == 0
    assert out.exists()
