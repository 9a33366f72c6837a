"""The animation of a training: moving pictures of the real window, in which something moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.xo_gui.conftest import OpenWindow
from xo_gui.state import SetData
from xo_gui.window import MainWindow, WindowRecorder, recording


@pytest.mark.parametrize("name", ["training.webp", "training.gif"])
def test_it_shows_the_window_training(
    window: MainWindow, qtbot: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(recording, "SLOW_FRAMES", 2)
    monkeypatch.setattr(recording, "FAST_FRAMES", 2)
    window.training.execute(SetData(replace(window.training.settings.data, count=200, held_out=50)))
    made = WindowRecorder(window, tmp_path / name)
    with qtbot.waitSignal(made.finished, timeout=60_000):
        made.start()
    assert made.error == ""
    assert not window.training.settings.running
    with Image.open(tmp_path / name) as picture:
        assert picture.size == (960, 600)
        assert picture.n_frames >= 2
        first = np.asarray(picture.convert("RGB"), int)
        picture.seek(picture.n_frames - 1)
        assert np.abs(np.asarray(picture.convert("RGB"), int) - first).max() > 60


def test_another_kind_of_file_is_refused_with_a_sentence(window: MainWindow, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is a .webp or a .gif file, not training.png; change the name."):
        WindowRecorder(window, tmp_path / "training.png")


def test_where_it_cannot_be_written_that_is_said(
    window: MainWindow, qtbot: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "SLOW_FRAMES", 1)
    monkeypatch.setattr(recording, "FAST_FRAMES", 1)
    window.training.execute(SetData(replace(window.training.settings.data, count=200, held_out=50)))
    made = WindowRecorder(window, tmp_path / "nowhere" / "training.webp")
    with qtbot.waitSignal(made.finished, timeout=60_000):
        made.start()
    assert "nowhere" in made.error


@pytest.mark.parametrize("option", ["--screenshot", "--animation"])
def test_a_window_that_only_makes_a_picture_leaves_the_sessions_alone(open_window: OpenWindow, option: str) -> None:
    window = open_window("--preset", "walkthrough", option, "picture.webp")
    window.close()
    assert window.autosave is None
