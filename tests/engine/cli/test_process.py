"""`xo` as a process: its streams, signals and surroundings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from engine.cli import classify
from engine.cli.json_text import json_text
from engine.cli.main import main
from engine.documents import DEFAULT, load_model, save_model
from engine.nn import Model

ROOT = Path(__file__).parents[3]
SHORT = ("--examples", "40", "--epochs", "2", "--hold-out", "0")
XO = f"{sys.executable} -m engine.cli"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command line of Bash, with the exit code of its first program."""
    return subprocess.run(
        ["bash", "-c", f'{command}; exit "${{PIPESTATUS[0]}}"'], cwd=folder, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("streams", ["| head -1", "2>&1 | head -c1", ">&-", ">&- 2>&-"])
def test_a_run_whose_output_nobody_reads_is_made_and_saved(tmp_path: Path, streams: str) -> None:
    done = shell(f"{XO} train --out a.safetensors {' '.join(SHORT)} {streams}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert load_model(tmp_path / "a.safetensors").origin["ended"] == "epochs"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_output_to_a_full_disk_is_said_in_a_sentence_and_the_run_is_saved(tmp_path: Path) -> None:
    done = shell(f"{XO} train --out a.safetensors {' '.join(SHORT)} > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "xo: The output could not be written: no space left on device.\n"
    assert (tmp_path / "a.safetensors").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("words", ["--version", "train --help"])
def test_help_to_a_full_disk_is_said_in_a_sentence(tmp_path: Path, words: str) -> None:
    done = shell(f"{XO} {words} > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "xo: The output could not be written: no space left on device.\n")


# The command, which Ctrl+C reaches only once its own lines run, however slow the machine is before them.
STARTS = """
import signal, sys
from xo_gui import own_engine
look = own_engine.foreign_engine_message
def reachable():
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return look()
own_engine.foreign_engine_message = reachable
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("started", flush=True)
sys.exit(own_engine.main())
"""


def test_ctrl_c_at_any_time_shows_no_traceback(tmp_path: Path, effort) -> None:
    for number in range(effort(6, 60)):
        words = [["info"], ["train", "--out", "a.safetensors", "--examples", "40"]][number % 2]
        child = subprocess.Popen(
            [sys.executable, "-c", STARTS, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, preexec_fn=_interruptible,
        )  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        time.sleep(0.08 * number % 0.5)  # the first one at once
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=30)
        assert "Traceback" not in errors, errors
        assert "ignored" not in errors, errors
        (tmp_path / "a.checkpoint").unlink(missing_ok=True)


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_package_called_engine_is_named(tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").touch()
    code = "import sys; from xo_gui.own_engine import main; sys.exit(main())"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True, env=environment
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"xo: Another package called engine, {tmp_path / 'engine'}, hides this program's")
    assert done.stderr.count("\n") == 1


def test_json_is_valid_where_numbers_are_not() -> None:
    value = {"a": float("nan"), "b": [1.5, float("inf"), (-float("inf"), "x")], "c": None}
    assert json.loads(json_text(value)) == {"a": None, "b": [1.5, None, [None, "x"]], "c": None}


@pytest.fixture
def overflowing(tmp_path: Path) -> Path:
    """A model whose votes are not numbers."""
    parameters = {name: values * np.float32(1e30) for name, values in DEFAULT.network.initial_parameters(1).items()}
    save_model(tmp_path / "huge.safetensors", Model("Huge", DEFAULT.network, parameters))
    return tmp_path / "huge.safetensors"


def test_weights_that_overflow_give_valid_json_and_no_warning(overflowing: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).uniform(-1, 1, (3, 32, 32)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images)
    done = shell(f"{XO} classify a.npz --model {overflowing.name} --json", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for line in done.stdout.splitlines():
        json.loads(line, parse_constant=pytest.fail)


def test_a_line_break_in_a_name_breaks_no_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "a\nb.npz", images=np.zeros((2, 9, 9), np.float32))
    bad = tmp_path / "c\nd.png"
    bad.write_bytes(b"no picture")
    missing = tmp_path / "e\nf.png"
    words = [str(tmp_path / "a\nb.npz"), str(bad), str(missing), "--preset", "walkthrough"]
    assert main(["classify", *words]) == 1
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 2
    assert len(printed.err.splitlines()) == 2


def test_matrix_products_use_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one makes `xo classify` no faster, and burns a core."""
    threads: list[int] = []

    def run(args: object) -> int:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return 0

    monkeypatch.setattr(classify, "run", run)
    assert main(["classify", "a.png"]) == 0
    assert set(threads) <= {1}


def test_a_folder_called_xo_is_what_data_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xo").symlink_to(Path(ROOT / "assets" / "samples"), target_is_directory=True)
    assert main(["train", "--data", "xo", "--out", "a.safetensors", "--epochs", "1"]) == 1
    assert "xo" in capsys.readouterr().err


def test_examples_are_counted_where_the_last_batch_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten examples in batches of 1000 are ten a step."""
    monkeypatch.chdir(tmp_path)
    begun = time.perf_counter()
    words = ["--examples", "10", "--batch", "1000", "--epochs", "3", "--hold-out", "0", "--json"]
    assert main(["train", "--out", "a.safetensors", *words]) == 0
    passed = time.perf_counter() - begun
    epochs = [json.loads(line) for line in capsys.readouterr().out.splitlines()][:-1]
    assert epochs[-1]["examples_per_second"] * epochs[-1]["seconds"] < 40
    assert epochs[-1]["seconds"] < passed


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("xo:size=a..b", "size[0] must be a number, not 'a'"),
        ("xo:size=1..2..3", "size must have 2 values, not 3"),
        ("xo:neither=x", "neither must be a number, not 'x'"),
    ],
)
def test_a_setting_of_another_kind_is_refused_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str, sentence: str
) -> None:
    assert main(["train", "--out", str(tmp_path / "a.safetensors"), "--data", setting]) == 1
    printed = capsys.readouterr().err
    assert sentence in printed
    assert "`" not in printed


def test_an_error_of_the_system_is_said_without_its_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--out", str(tmp_path / ("a" * 300 + ".safetensors"))]) == 1
    printed = capsys.readouterr().err
    assert "file name too long" in printed
    assert "Errno" not in printed
