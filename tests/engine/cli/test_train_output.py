"""`xo train` in a process of its own: at a terminal, stopped with Ctrl+C, killed, and resumed."""

from __future__ import annotations

import io
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from engine.cli.main import main
from engine.cli.train_output import ProgressBar, clock_text
from engine.documents import load_checkpoint, load_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="terminals and signals are others there")

XO = [sys.executable, "-m", "engine.cli.main", "train"]
FEW = ["--examples", "64", "--batch", "16", "--hold-out", "0.25"]


# A child that cannot end before it is interrupted or killed, however late that is: it makes steps as far as
# `last_step` says, prints "waiting", and waits.
WAITS = """
import os, sys, time
import engine.cli.train as command
from engine.cli.main import main
from engine.training import Trainer
make_steps = Trainer._make_steps
class Handler(command.InterruptHandler):
    def __init__(self):
        super().__init__()
        Handler.only = self
command.InterruptHandler = Handler
def waiting(trainer, epoch, row):
    until = time.monotonic() + {patience}
    if trainer.steps_made >= {last_step} and not Handler.only.requested:
        os.write(1, b"\\nwaiting\\n")
    while trainer.steps_made >= {last_step} and not Handler.only.requested and time.monotonic() < until:
        time.sleep(0.005)
    return make_steps(trainer, epoch, row)
Trainer._make_steps = waiting
"""
RUNS = "sys.exit(main(sys.argv[1:]))"


def waits_at(last_step: str) -> str:
    """The beginning of such a child; if nobody interrupts it, it goes on after two minutes."""
    return WAITS.format(last_step=last_step, patience=120)


def on_terminal(
    words: list[str], columns: int, *, press: bytes = b"", after: bytes = b"", begin: str = ""
) -> tuple[int, str]:
    """The exit code of a child on a terminal so wide, and all that it showed there. press: keys that are pressed
    once `after` has been seen. begin: Python that the child runs first."""
    import fcntl
    import pty
    import struct
    import termios

    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    # A terminal throws away, at each Ctrl+C, what is not read yet; this one keeps it.
    modes = termios.tcgetattr(its)
    modes[3] |= termios.NOFLSH
    termios.tcsetattr(its, termios.TCSANOW, modes)
    # setsid makes the terminal the child's own, so that Ctrl+C reaches it.
    child = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
         f"from engine.cli.main import main\n{begin}\n{RUNS}", "train", *words],
        stdin=its, stdout=its, stderr=its, start_new_session=True,
        env={name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")},
    )  # fmt: skip
    os.close(its)
    shown = b""
    while True:
        try:
            some = os.read(own, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        shown += some
        if press and after in shown:
            os.write(own, press)
            press = b""
    os.close(own)
    return child.wait(), shown.decode()


def test_a_bar_on_a_terminal(tmp_path: Path) -> None:
    begun = time.monotonic()
    code, shown = on_terminal([*FEW, "--epochs", "40", "--out", str(tmp_path / "a.safetensors")], 100)
    took = time.monotonic() - begun
    assert code == 0
    frames = re.findall(r"\r(epoch [^\r\n]*)", shown)
    assert 0 < len(frames) <= took * 10 + 1
    assert all(len(frame) < 100 for frame in frames)
    whole = r"epoch \d+/40  [━─]+  step \d+  loss \d\.\d{4}  held out \d+\.\d\d%  [\d,]+/s  \d+:\d\d left *"
    assert re.fullmatch(whole, frames[-1])
    # At the end the bar is gone, and the rest is in its place.
    after = shown[shown.rindex(frames[-1]) + len(frames[-1]) :]
    assert re.fullmatch(r"\r *\r(?s:All epochs are done\..*wrote .*)\r\n", after)


def drawn(monkeypatch: pytest.MonkeyPatch, columns: int, encoding: str = "utf-8") -> str:
    """What a bar shows on a terminal so wide, halfway through a run."""
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = io.TextIOWrapper(io.BytesIO(), encoding, newline="")
    parts = {"epoch": "epoch 3/40", "bar": "", "step": "step 1", "loss": "loss 0.1", "held out": "held out 90%"}
    ProgressBar(stream).draw(0.5, parts | {"speed": "9/s", "left": "0:05 left"})
    stream.seek(0)
    return stream.read()


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (200, "epoch 3/40  " + "━" * 15 + "─" * 15 + "  step 1  loss 0.1  held out 90%  9/s  0:05 left"),
        (76, "epoch 3/40  ━━━━━━━━───────  step 1  loss 0.1  held out 90%  9/s  0:05 left"),
        (66, "epoch 3/40  ━━━━━─────  step 1  loss 0.1  held out 90%  0:05 left"),
        (60, "epoch 3/40  ━━━━━━──────  loss 0.1  held out 90%  0:05 left"),
        (50, "epoch 3/40  loss 0.1  held out 90%  0:05 left"),
        (40, "epoch 3/40  loss 0.1  0:05 left"),
        (25, "epoch 3/40  loss 0.1"),
        (12, "epoch 3/40"),
        (8, "epoch 3"),
        (1, ""),
    ],
)
def test_a_narrow_terminal_shows_what_matters_most(
    monkeypatch: pytest.MonkeyPatch, columns: int, shown: str
) -> None:
    assert drawn(monkeypatch, columns) == "\r" + shown
    assert len(shown) < columns


def test_a_terminal_without_lines_shows_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, 60, "ascii") == "\repoch 3/40  ######------  loss 0.1  held out 90%  0:05 left"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.4, "0:00"), (65, "1:05"), (3599.6, "1:00:00"), (7384, "2:03:04")]
)
def test_time_as_a_clock_shows_it(seconds: float, shown: str) -> None:
    assert clock_text(seconds) == shown


def test_ctrl_c_on_a_terminal_and_on_from_there(tmp_path: Path) -> None:
    """Ctrl+C three times; after resuming, the model has the bytes of an uninterrupted run."""
    out, aside = tmp_path / "a.safetensors", tmp_path / "a.checkpoint"
    words = [*FEW, "--epochs", "30", "--seed", "3"]
    code, shown = on_terminal(
        [*words, "--out", str(out)], 100, press=b"\x03\x03\x03", after=b"waiting", begin=waits_at("5")
    )
    assert code == 130
    assert "Stopping after this step, and saving the run ..." in shown
    assert f"the run is saved in {aside}. Resume with: xo train --resume {aside}" in shown.replace("\r\n", "\n")
    assert not out.exists()
    assert 0 < load_checkpoint(aside).checkpoint.steps <= 6
    assert main(["train", "--resume", str(aside)]) == 0
    resumed = out.read_bytes()
    assert main(["train", *words, "--out", str(out)]) == 0
    assert out.read_bytes() == resumed


# The disk answers only once a line is sent.
SLOW_DISK = """
sync = os.fsync
def slow(descriptor):
    print("saving", flush=True)
    sys.stdin.readline()
    sync(descriptor)
os.fsync = slow
"""


def wait_for(word: str, stream: IO[str]) -> None:
    """Until a line begins with it."""
    for line in stream:
        if line.startswith(word):
            return
    pytest.fail(f"nothing that begins with {word} was printed")


def test_ctrl_c_while_the_run_is_saved_does_not_lose_it(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    code = waits_at("5") + SLOW_DISK + RUNS
    command = [sys.executable, "-c", code, "train", *FEW, "--epochs", "1000", "--out", str(out)]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **streams, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        wait_for("waiting", child.stdout)
        child.send_signal(signal.SIGINT)
        wait_for("saving", child.stdout)
        child.send_signal(signal.SIGINT)
        child.stdin.write("\n" * 9)
        child.stdin.close()
        errors = child.stderr.read()
    assert child.returncode == 130
    assert f"--resume {tmp_path}/a.checkpoint" in errors
    assert load_checkpoint(tmp_path / "a.checkpoint").checkpoint.steps > 0
    assert os.listdir(tmp_path) == ["a.checkpoint"]


SAYS_WHEN_IT_DRAWS = """
import os, sys, time
from engine.cli.main import main
from engine.data.xo import XODrawings
generate = XODrawings.generate
def telling(*arguments):
    os.write(2, b"drawing\\n")
    time.sleep({seconds})
    return generate(*arguments)
XODrawings.generate = telling
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_while_examples_are_drawn_is_not_waited_for(tmp_path: Path) -> None:
    """A step would follow if they were all drawn first."""
    words = ["--examples", "60", "--hold-out", "0", "--batch", "1", "--out", str(tmp_path / "a.safetensors")]
    command = [sys.executable, "-c", SAYS_WHEN_IT_DRAWS.format(seconds=60), "train", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        wait_for("drawing", child.stderr)
        child.send_signal(signal.SIGINT)
        assert "Stopped after step 0;" in child.stderr.read()
    assert child.returncode == 130
    assert load_checkpoint(tmp_path / "a.checkpoint").checkpoint.steps == 0


def test_what_is_trained_on_what_is_said_before_the_first_epoch_even_into_a_pipe(tmp_path: Path) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", SAYS_WHEN_IT_DRAWS.format(seconds=60)]
    command += ["train", "--examples", "60000", "--hold-out", "0"]
    command += ["--out", str(tmp_path / "a.safetensors")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=buffered, text=True
    ) as child:
        assert child.stdout is not None
        assert "seed" in child.stdout.readline()
        assert "60,000 fresh drawings" in child.stdout.readline()
        assert child.stdout.readline() == "drawing\n"
        child.kill()


SAVES_ALWAYS = """
command.SAVE_SECONDS = 0.0
"""


def test_killed_at_any_moment_it_can_go_on(tmp_path: Path) -> None:
    """Killed and resumed three times in a row; the result is that of an uninterrupted run."""
    out, aside, rng = tmp_path / "a.safetensors", tmp_path / "a.checkpoint", random.Random(5)
    words, before = [*FEW, "--epochs", "12", "--seed", "3"], 0
    for _ in range(3):
        how = ["--resume", str(aside)] if before else [*words, "--out", str(out)]
        code = waits_at(str(before + 12)) + SAVES_ALWAYS + RUNS
        with subprocess.Popen([sys.executable, "-c", code, "train", *how], stdout=subprocess.PIPE) as child:
            while not aside.exists() or load_checkpoint(aside).checkpoint.steps < before + 3:
                assert child.poll() is None
                time.sleep(rng.random() * 0.02)
            child.kill()
        before = load_checkpoint(aside).checkpoint.steps
        assert before > 0
    assert before < 12 * 4
    assert main(["train", "--resume", str(aside)]) == 0
    straight = tmp_path / "b" / "a.safetensors"
    straight.parent.mkdir()
    assert main(["train", *words, "--out", str(straight)]) == 0
    assert out.read_bytes() == straight.read_bytes()


def test_a_disk_that_is_full_does_not_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.cli import train as course
    from engine.formats import FileError

    def full(path: Path, run: object) -> None:
        raise FileError(f"{path} was not saved: there is no room left on the disk; free some space.")

    monkeypatch.setattr(course, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(course, "save_checkpoint", full)
    out = tmp_path / "a.safetensors"
    assert main(["train", *FEW, "--epochs", "1", "--out", str(out)]) == 0
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert "no room left on the disk; free some space. Training continues." in errors
    assert all(np.isfinite(values).all() for values in load_model(out).parameters.values())


@pytest.mark.parametrize("threads", [1, 2])
def test_the_threads_that_are_offered_make_no_difference(tmp_path: Path, threads: int) -> None:
    """As in a process that may use one only."""
    offered = {f"{library}_NUM_THREADS": str(threads) for library in ("OPENBLAS", "MKL", "OMP")}
    words = ["--examples", "64", "--epochs", "1", "--hold-out", "0.25", "--seed", "8"]
    child = subprocess.run(
        [*XO, *words, "--out", str(tmp_path / "a.safetensors")],
        env=os.environ | offered,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    (tmp_path / "b").mkdir()
    assert main(["train", *words, "--out", str(tmp_path / "b" / "a.safetensors")]) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b" / "a.safetensors").read_bytes()
