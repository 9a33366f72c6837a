"""The `xo` command from the outside: what it prints and writes, and how it fails."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.cli.main import main
from engine.documents import DEFAULT, save_model
from engine.nn import Model

# The article's pictures and values, from Rohrer's slides; maps are nine times the value.
X = """
.........
.#.....#.
..#...#..
...#.#...
....#....
...#.#...
..#...#..
.#.....#.
.........
"""
O = """
.........
...###...
..#...#..
.#.....#.
.#.....#.
.#.....#.
..#...#..
...###...
.........
"""  # noqa: E741
FIRST_MAP_X9 = {
    "X": [
        [7, -1, 1, 3, 5, -1, 3], [-1, 9, -1, 3, -1, 1, -1], [1, -1, 9, -3, 1, -1, 5], [3, 3, -3, 5, -3, 3, 3],
        [5, -1, 1, -3, 9, -1, 1], [-1, 1, -1, 3, -1, 9, -1], [3, -1, 5, 3, 1, -1, 7],
    ],
    "O": [
        [5, -1, 1, 1, 5, -1, 1], [-1, 1, -3, 1, 1, 9, -1], [1, -3, 5, 3, 1, 1, 5], [1, 1, 3, 3, 3, 1, 1],
        [5, 1, 1, 3, 5, -3, 1], [-1, 9, 1, 1, -3, 1, -1], [1, -1, 5, 1, 1, -1, 5],
    ],
}  # fmt: skip
POOL4_X9 = {
    "X": [
        [[9, 3, 5, 3], [3, 9, 3, 5], [5, 3, 9, 1], [3, 5, 1, 7]],
        [[5, 3, 5, 3], [3, 9, 5, 1], [5, 5, 5, 1], [3, 1, 1, 3]],
        [[3, 5, 9, 7], [5, 5, 9, 3], [9, 9, 1, 5], [7, 3, 5, 3]],
    ],
    "O": [
        [[5, 1, 9, 1], [1, 5, 3, 5], [9, 3, 5, 1], [1, 5, 1, 5]],
        [[5, 1, 5, 1], [1, 1, 1, 1], [5, 1, 5, 1], [1, 1, 1, 1]],
        [[9, 5, 1, 5], [5, 3, 5, 1], [1, 5, 9, 5], [5, 1, 5, 1]],
    ],
}
POOL2_X9 = {
    "X": [[[9, 5], [5, 9]], [[9, 5], [5, 5]], [[5, 9], [9, 5]]],
    "O": [[[5, 9], [9, 5]], [[5, 5], [5, 5]], [[9, 5], [5, 9]]],
}


def picture(text: str) -> np.ndarray:
    return np.array([[1 if mark == "#" else -1 for mark in row] for row in text.split()], np.float32)


PICTURES = {"X": picture(X), "O": picture(O)}


def draw(path: Path, name: str, *, inverted: bool = False) -> Path:
    """The article's picture as a PNG, dark on light or, inverted, light on dark."""
    grey = (1 - PICTURES[name]) / 2 * 255
    Image.fromarray((255 - grey if inverted else grey).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model file with softmax votes. It is untrained: what it says does not matter here."""
    path = tmp_path / "model.safetensors"
    save_model(path, Model("Untrained", DEFAULT.network, DEFAULT.network.initial_parameters(2)))
    return path


def run(*words: object) -> int:
    return main([str(word) for word in words])


# --- trace


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("name", ["X", "O"])
def test_trace_is_the_article_to_the_digit(
    tmp_path: Path, name: str, inverted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "trace.npz"
    image = draw(tmp_path / "a.png", name, inverted=inverted)
    assert run("trace", image, "--preset", "walkthrough", "--out", out) == 0
    with np.load(out) as trace:
        values = {key: trace[key] for key in trace.files}
    keys = ["00-input", "01-conv2d", "02-relu", "03-maxpool2d", "04-maxpool2d", "05-flatten", "06-votes"]
    assert list(values) == keys
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == keys
    expected = {
        "00-input": PICTURES[name][None],
        "03-maxpool2d": np.array(POOL4_X9[name]) / 9,
        "04-maxpool2d": np.array(POOL2_X9[name]) / 9,
        "05-flatten": np.array(POOL2_X9[name]).ravel() / 9,
    }
    for key, wanted in expected.items():
        assert np.abs(values[key] - wanted).max() < 1e-6, key
    first = np.array(FIRST_MAP_X9[name]) / 9
    assert np.abs(values["01-conv2d"][0] - first).max() < 1e-6
    assert np.abs(values["02-relu"][0] - np.maximum(first, 0)).max() < 1e-6


@pytest.mark.parametrize("name", ["X", "O"])
def test_votes_of_the_article(tmp_path: Path, name: str) -> None:
    out = tmp_path / "trace.npz"
    run("trace", draw(tmp_path / "a.png", name), "--preset", "walkthrough", "--out", out)
    flat = np.array(POOL2_X9[name]).ravel() / 9
    strong = (np.array((1, 4, 5, 10, 11)) - 1, np.array((2, 3, 9, 12)) - 1)
    with np.load(out) as trace:
        assert np.allclose(trace["06-votes"], [flat[places].mean() for places in strong], atol=1e-6)


def test_trace_ends_with_the_votes(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "trace.npz"
    assert run("trace", draw(tmp_path / "a.png", "X"), "--model", model, "--out", out) == 0
    assert capsys.readouterr().out.splitlines()[1] == "01-conv2d     8 × 48 × 48"
    with np.load(out) as trace:
        assert trace.files[-2:] == ["13-dense", "14-votes"]
        assert trace["14-votes"].sum() == pytest.approx(1)
    first = out.read_bytes()
    run("trace", tmp_path / "a.png", "--model", model, "--out", out)
    assert out.read_bytes() == first


def test_trace_wants_npz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("trace", draw(tmp_path / "a.png", "X"), "--preset", "walkthrough", "--out", tmp_path / "a.txt") == 1
    assert "ends in .npz" in capsys.readouterr().err
    assert not (tmp_path / "a.txt").exists()


# --- classify


def test_classify_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short, long = draw(tmp_path / "x.png", "X"), draw(tmp_path / "another.png", "O", inverted=True)
    assert run("classify", short, long, "--preset", "walkthrough") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [str(short), "X", "1.00", "(X", "1.00,", "O", "0.56)"]
    assert lines[1].split()[:2] == [str(long), "O"]
    assert lines[0].index(" 1.00") == lines[1].index(" 1.00")


def test_classify_says_per_cent(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("classify", draw(tmp_path / "x.png", "X"), "--model", model) == 0
    line = capsys.readouterr().out
    assert line.count(" %") == 3
    assert "(X " in line


def test_classify_for_programs(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = tmp_path / "blank.png"
    Image.new("L", (20, 20), 255).save(blank)
    files = [draw(tmp_path / "x.png", "X"), blank]
    assert run("classify", *files, "--model", model, "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(each) for each in found] == [["file", "verdict", "votes"]] * 2
    assert [each["file"] for each in found] == [str(file) for file in files]
    assert found[1]["verdict"] == "unsure"
    for each in found:
        assert list(each["votes"]) == ["X", "O"]
        assert sum(each["votes"].values()) == pytest.approx(1, abs=2e-6)


def test_classify_agrees_with_trace(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 70 pictures, more than a batch, each gets the votes that it gets alone."""
    rng = np.random.default_rng(8)
    files = []
    for number in range(70):
        files.append(tmp_path / f"{number:02}.png")
        Image.fromarray(rng.integers(0, 256, (32, 32)).astype(np.uint8)).save(files[-1])
    assert run("classify", *files, "--model", model, "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["file"] for each in found] == [str(file) for file in files]
    for number in (0, 1, 63, 64, 69):
        run("trace", files[number], "--model", model, "--out", tmp_path / "t.npz")
        with np.load(tmp_path / "t.npz") as trace:
            assert np.allclose(list(found[number]["votes"].values()), trace["14-votes"], atol=2e-6)


def test_a_folder_stands_for_its_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set" / "b").mkdir(parents=True)
    (tmp_path / "set" / "a").mkdir()
    names = ["set/a/2.png", "set/b/1.PNG", "set/z.png"]
    for name in reversed(names):
        draw(tmp_path / name, "X")
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    assert run("classify", tmp_path / "set", "--preset", "walkthrough", "--json") == 0
    found = [json.loads(line)["file"] for line in capsys.readouterr().out.splitlines()]
    assert found == [str(tmp_path / name) for name in names]
    (tmp_path / "empty").mkdir()
    assert run("classify", tmp_path / "empty", "--preset", "walkthrough") == 1
    assert "contains no files that can be read" in capsys.readouterr().err


def test_hidden_and_system_files_of_a_folder_are_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mac" / "X").mkdir(parents=True)
    draw(tmp_path / "mac" / "X" / "a.png", "X")
    for name in ("X/._a.png", ".ipynb_checkpoints/a.png", "__MACOSX/X/a.png", "@eaDir/a.png", "$RECYCLE.BIN/a.png"):
        (tmp_path / "mac" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "mac" / name).write_bytes(b"none of the user's pictures")
    (tmp_path / "mac" / "X" / "photo.heic").write_bytes(b"a format that is not read")
    assert run("classify", tmp_path / "mac") == 1
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == [str(tmp_path / "mac" / "X" / "a.png")]
    assert printed.err.count("\n") == 1
    assert "photo.heic" in printed.err


def test_a_picture_that_ends_early_is_read_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.kron((1 - PICTURES["X"]) / 2 * 255, np.ones((8, 8))).astype(np.uint8)).save(
        tmp_path / "a.jpg"
    )
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-2])
    assert run("classify", tmp_path / "a.jpg") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{tmp_path / 'a.jpg'}  X ")
    assert printed.err.startswith(f"xo: {tmp_path / 'a.jpg'} ends early")
    assert printed.err.count("\n") == 1


def test_npz_without_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = np.stack([PICTURES["X"], PICTURES["O"]])
    np.savez(tmp_path / "a.npz", images=((images + 1) / 2 * 255).astype(np.uint8))
    assert run("classify", tmp_path / "a.npz", "--preset", "walkthrough") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[f"{tmp_path}/a.npz[0]", "X"], [f"{tmp_path}/a.npz[1]", "O"]]
    assert run("classify", tmp_path / "a.npz", "--preset", "walkthrough", "--json") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(each) for each in found] == [["file", "verdict", "votes", "index"]] * 2


def test_npz_with_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels are matched by class name where the file has names, in any order; unknown classes are refused."""
    images, path = np.stack([PICTURES["X"], PICTURES["O"]]), tmp_path / "a.npz"
    np.savez(path, images=images, labels=np.array([2, 0]), classes=np.array(["O", "neither", "X"]))
    assert run("classify", path, "--preset", "walkthrough") == 0
    assert "accuracy 100.0 % of 2 (X 100.0 % of 1, O 100.0 % of 1;" in capsys.readouterr().out
    np.savez(path, images=images, labels=np.array([0, 1]), classes=np.array(["X", "square"]))
    assert run("classify", path, "--preset", "walkthrough") == 1
    assert "has the class square, but this network knows X, O." in capsys.readouterr().err


def test_npz_with_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two X, one of them called O; an O; a blank picture that is neither, and one called X."""
    blank = np.full((9, 9), -1, np.float32)
    images = np.stack([PICTURES["X"], PICTURES["X"], PICTURES["O"], blank, blank])
    np.savez(tmp_path / "a.npz", images=images, labels=np.array([0, 1, 1, -1, 0]))
    assert run("classify", tmp_path / "a.npz", "--preset", "walkthrough") == 0
    lines = capsys.readouterr().out.splitlines()
    accuracy = "accuracy 60.0 % of 5 (X 50.0 % of 2, O 50.0 % of 2, neither 100.0 % of 1; 2 unsure)"
    assert lines[-1] == accuracy
    assert [line.endswith("is O") for line in lines[:5]] == [False, True, False, False, False]
    assert lines[4].endswith("is X")
    assert run("classify", tmp_path / "a.npz", "--preset", "walkthrough", "--json") == 0
    printed = capsys.readouterr()
    found = [json.loads(line) for line in printed.out.splitlines()]
    assert printed.err.splitlines() == [accuracy]
    assert [each["label"] for each in found] == ["X", "O", "O", "neither", "X"]
    assert [each["index"] for each in found] == [0, 1, 2, 3, 4]
    assert [each["verdict"] for each in found] == ["X", "X", "O", "unsure", "unsure"]


def test_labels_that_the_network_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a.npz", images=np.stack([PICTURES["X"]] * 2), labels=np.array([0, 2]))
    assert run("classify", tmp_path / "a.npz", "--preset", "walkthrough") == 1
    assert "has the label 2, but this network knows X, O." in capsys.readouterr().err


def test_the_rest_goes_on_when_a_file_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = draw(tmp_path / "a.png", "X")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "bad.npz").write_bytes(b"no npz")
    files = [good, tmp_path / "bad.png", tmp_path / "bad.npz", tmp_path / "missing.png", good]
    assert run("classify", *files, "--preset", "walkthrough") == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert [line.split()[:2] for line in printed.err.splitlines()] == [["xo:", str(file)] for file in files[1:4]]


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("a.zip", "xo train --data"),
        ("a.csv", "xo train --data"),
        ("a.checkpoint", "xo train --resume"),
        ("a.safetensors", "xo classify --model"),
        ("a.session", "python3 -m xo_gui"),
    ],
)
def test_a_file_that_is_no_picture_is_named_with_the_command_that_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    assert main(["classify", str(path)]) == 1
    sentence = capsys.readouterr().err
    assert sentence.startswith(f"xo: {name} is ")
    assert command in sentence


def test_fit_finds_a_small_drawing_in_a_corner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without it, little of the cross is left on 9 x 9 pixels; with it, where it was drawn makes no difference."""
    y, x = np.mgrid[:200, :200]
    cross = (abs(abs(x - 40) - abs(y - 150)) < 4) & (abs(x - 40) < 25) & (abs(y - 150) < 25)
    centred = np.roll(cross, (-50, 60), (0, 1))
    for name, mask in (("corner", cross), ("centre", centred)):
        Image.fromarray(np.where(mask, 0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    assert (
        run(
            "classify",
            tmp_path / "corner.png",
            tmp_path / "centre.png",
            "--preset",
            "walkthrough",
            "--json",
            "--fit",
        )
        == 0
    )
    corner, centre = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert corner["verdict"] == centre["verdict"] == "X"
    assert corner["votes"]["X"] == pytest.approx(centre["votes"]["X"], abs=0.05)


# --- info


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 0
    printed = capsys.readouterr().out
    for word in (
        "python",
        "numpy",
        np.__version__,
        "cupy",
        "device",
        "cores",
        "platform",
        "walkthrough",
        "30 parameters",
    ):
        assert word in printed
    assert run("info", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    presets = {preset["name"]: preset for preset in report["presets"]}
    assert presets["walkthrough"]["model"] == "made by hand"
    assert presets["default"]["shapes"]["conv2d-1"] == [8, 48, 48]


# --- how it starts and fails


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["classify", "a.png", "--preset", "nothing"], "There is no preset called 'nothing'"),
        (["classify", "a.png", "--model", "missing.safetensors"], "missing.safetensors does not exist"),
        (["trace", "missing.png", "--preset", "walkthrough", "--out", "a.npz"], "missing.png does not exist"),
        (["trace", "a.png", "--preset", "walkthrough", "--out", "no/folder/a.npz"], "its folder does not exist"),
    ],
)
def test_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png", "X")
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("xo: ")
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


def test_a_gpu_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    image = draw(tmp_path / "a.png", "X")
    assert run("classify", image, "--preset", "walkthrough", "--device", "gpu") == 1
    assert "The GPU cannot be used: CuPy" in capsys.readouterr().err
    assert run("classify", image, "--preset", "walkthrough", "--device", "auto") == 0


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["classify"], ["trace", "a.png"], ["classify", "a", "--preset"]]
)
def test_words_that_mean_nothing(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    assert "usage: xo" in capsys.readouterr().err


def test_preset_and_model_exclude_each_other(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        run("classify", "a.png", "--preset", "default", "--model", model)
    assert raised.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["classify", "--help"], ["train", "--help"]])
def test_help_and_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 0
    assert "xo" in capsys.readouterr().out


def test_the_version_needs_no_numpy() -> None:
    code = (
        "import sys\nfrom engine.cli.main import main\ntry: main(['--version'])\nexcept SystemExit: pass\n"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_as_a_module_and_a_reader_who_leaves(tmp_path: Path) -> None:
    """`python -m engine.cli.main ... | head -1`, with far more lines than a pipe holds."""
    image = draw(tmp_path / "a.png", "X")
    command = [sys.executable, "-m", "engine.cli.main", "classify", *[str(image)] * 3000, "--preset", "walkthrough"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(os.fsencode(image))
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_interrupted(tmp_path: Path) -> None:
    image = draw(tmp_path / "a.png", "X")
    command = [
        sys.executable,
        "-m",
        "engine.cli.main",
        "classify",
        *[str(image)] * 5_000,
        "--preset",
        "walkthrough",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        child.stdout.read()
        assert child.stderr.read() == b""
    assert child.returncode == 130


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    draw(Path(name), "X")
    command = [sys.executable, "-m", "engine.cli.main", "classify", name, "--preset", "walkthrough"]
    result = subprocess.run(command, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"\\udcff.png" in result.stdout
