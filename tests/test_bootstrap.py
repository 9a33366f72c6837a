"""The decisions of the bootstrap, with every installer and probe replaced: nothing is installed."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from xo_gui.bootstrap import ensure_environment, ensure_system_libraries, environment, installer, system_libraries
from xo_gui.bootstrap.environment import Environment
from xo_gui.bootstrap.requirements import (
    installed_versions,
    is_met,
    missing_requirements,
    read_project,
)
from xo_gui.bootstrap.system_libraries import no_screen

PYPROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "xo-gui"
dependencies = ["nowhere-to-be-found>=1.2"]
[project.optional-dependencies]
cuda12 = []
cuda13 = []
test = ["another-thing"]
[tool.hatch]
"""


class Restarted(Exception):
    """Raised instead of replacing the process."""


class Checkout:
    """A checkout in a temporary folder whose installers only record their commands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[list[str]] = []
        self.fails_at = ""
        (root / "pyproject.toml").write_text(PYPROJECT)
        self.own = Environment(root / ".venv")

    def run(self, command: Sequence[str], failure: str, folder: Path | None = None, lock: object = None) -> None:
        self.commands.append(list(command))
        if self.fails_at and self.fails_at in command:
            installer.exit_with(failure)
        if "venv" in command:
            self.make()

    def make(self) -> None:
        self.own.python.parent.mkdir(parents=True)
        self.own.python.touch()
        version = f"{sys.version_info[0]}.{sys.version_info[1]}.0"
        (self.own.folder / "pyvenv.cfg").write_text(f"home = {self.root}\nversion = {version}\n")
        (self.own.folder / "lib/python3/site-packages/pip").mkdir(parents=True)

    def start(self, *extras: str) -> list[str]:
        """Start from outside and return what was run: 'venv', or 'install' and the target."""
        self.commands.clear()
        with pytest.raises(Restarted):
            ensure_environment(extras, "xo_gui")
        return ["venv" if "venv" in command else f"install {command[-1]}" for command in self.commands]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkout = Checkout(tmp_path)

    def restart(place: Environment, module: str) -> None:
        os.environ.pop(environment.JUST_INSTALLED, None)
        raise Restarted(place.folder, module)

    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "run", checkout.run)
    monkeypatch.setattr(environment, "restart", restart)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(environment, "matching_cuda_extra", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("XO_GUI_EXTRAS", raising=False)
    return checkout


def test_first_start_makes_and_second_start_enters(checkout: Checkout) -> None:
    assert checkout.start() == ["venv", "install ."]
    assert checkout.start() == []


def test_missing_extra_is_added_and_kept(checkout: Checkout) -> None:
    checkout.start()
    assert checkout.start("test") == ["install .[test]"]
    assert checkout.start() == []
    (checkout.root / "pyproject.toml").write_text(PYPROJECT.replace(">=1.2", ">=1.3"))
    assert checkout.start() == ["install .[test]"]


def test_changed_tool_settings_install_nothing(checkout: Checkout) -> None:
    checkout.start()
    (checkout.root / "pyproject.toml").write_text(PYPROJECT + "[tool.ruff]\nline-length = 99\n")
    assert checkout.start() == []


@pytest.mark.parametrize("step", ["venv", "install"])
def test_interrupted_installation_is_not_trusted(checkout: Checkout, step: str) -> None:
    checkout.fails_at = step
    with pytest.raises(SystemExit, match="network" if step == "install" else "Could not create"):
        ensure_environment((), "xo_gui")
    checkout.fails_at = ""
    assert checkout.start() == ["venv", "install ."]
    assert not checkout.own.unfinished_file.exists()


def test_torn_stamp_is_no_stamp(checkout: Checkout) -> None:
    checkout.start()
    checkout.own.stamp_file.write_text(json.dumps({"mark": "x"})[:-3])
    assert checkout.start() == ["install ."]


def test_environment_whose_python_is_gone_is_made_again(checkout: Checkout) -> None:
    checkout.start()
    checkout.own.python.unlink()
    assert checkout.start() == ["venv", "install ."]


def test_environment_without_pip_is_made_again(checkout: Checkout) -> None:
    checkout.start()
    (checkout.own.folder / "lib/python3/site-packages/pip").rmdir()
    assert checkout.start("test") == ["venv", "install .[test]"]


def test_other_cuda_version_replaces_the_first(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XO_GUI_EXTRAS", "cuda12")
    assert checkout.start("test") == ["venv", "install .[cuda12,test]"]
    monkeypatch.setenv("XO_GUI_EXTRAS", "cuda13")
    assert checkout.start() == ["venv", "install .[cuda13,test]"]


@pytest.mark.parametrize(
    ("extras", "sentence"), [("cuda99", "no extra named cuda99"), ("cuda12 cuda13", "one CUDA")]
)
def test_wrong_extras_are_named(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, extras: str, sentence: str
) -> None:
    monkeypatch.setenv("XO_GUI_EXTRAS", extras)
    with pytest.raises(SystemExit, match=sentence):
        ensure_environment((), "xo_gui")


def test_satisfied_interpreter_stays(checkout: Checkout) -> None:
    (checkout.root / "pyproject.toml").write_text(PYPROJECT.replace("nowhere-to-be-found>=1.2", "pytest>=8"))
    ensure_environment((), "xo_gui")
    assert not checkout.commands
    assert not checkout.own.folder.exists()


def test_installation_that_changes_nothing_is_not_repeated_for_ever(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(environment.JUST_INSTALLED, "1")
    with pytest.raises(SystemExit, match=r"does not meet the requirements \(nowhere-to-be-found"):
        ensure_environment((), "xo_gui")


def test_checkout_that_cannot_be_written_to_uses_the_cache(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.own.lock_file.mkdir()
    checkout.own = Environment(environment.cache_folder(checkout.root))
    assert checkout.start() == ["venv", "install ."]
    assert "cannot be written to" in capsys.readouterr().err
    assert checkout.start() == []


@pytest.mark.skipif(os.name == "nt", reason="two handles of one process share a lock on Windows")
def test_lock_keeps_a_second_start_out(checkout: Checkout) -> None:
    with environment.file_lock(checkout.own.lock_file), checkout.own.lock_file.open("a") as second:
        assert not environment.try_lock(second)


def test_old_python_gets_a_sentence() -> None:
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, and this is Python 3\.9\.2"):
        environment.require_python((3, 9, 2))


def test_lack_of_venv_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XO_GUI_NO_APT", "1")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(SystemExit, match=r"sudo apt install python3\.\d+-venv"):
        environment.install_venv_package()


def test_every_requirement_of_the_project_can_be_read() -> None:
    project = read_project(environment.ROOT / "pyproject.toml")
    asked = project.requirements_for(set(project.requirements) - {""})
    assert len(missing_requirements(asked, {})) >= len(project.requirements[""])


def test_this_very_environment_has_the_tests_requirements() -> None:
    project = read_project(environment.ROOT / "pyproject.toml")
    assert missing_requirements(project.requirements_for(["test"]), installed_versions(sys.path)) == []


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("Thing>=6.8,<6.11", True),
        ("thing<6.10", False),
        ("thing==6.10.0", True),
        ("thing!=6.10", False),
        ("thing[extra]>=7", False),
        ("other", False),
        ("other; sys_platform == 'nowhere'", True),
        ("dotted.name_here>=1", True),
    ],
)
def test_requirement_is_compared(requirement: str, met: bool) -> None:
    assert is_met(requirement, {"thing": "6.10", "dotted-name-here": "1.0rc1"}) is met


@pytest.mark.parametrize("requirement", ["thing~=1.0", "thing>=1; python_version < '4'", "thing @ file:///x"])
def test_unknown_form_of_requirement_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        is_met(requirement, {"thing": "6.10"})


def test_failing_installer_becomes_one_sentence_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    code = "print('Downloading x'); print('ERROR: no route to host'); print('and more'); raise SystemExit(3)"
    with pytest.raises(SystemExit) as stopped:
        installer.run([sys.executable, "-c", code], "Nothing was installed.")
    text = str(stopped.value)
    assert text.startswith("Nothing was installed. ")
    assert text.endswith("ended with code 3:\n  ERROR: no route to host")
    assert "Downloading x" in capsys.readouterr().err


@pytest.fixture
def bare_linux(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Linux without a display and without one library."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XO_GUI_NO_APT", "1")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(system_libraries, "x_problem", lambda: "" if os.environ.get("DISPLAY") else no_screen())
    monkeypatch.setattr(system_libraries, "is_loadable", lambda soname: soname != "libxcb-icccm.so.4")
    return monkeypatch


@pytest.mark.parametrize(
    ("tool", "line"),
    [
        ("apt-get", "sudo apt install libxcb-icccm4$"),
        ("dnf", "sudo dnf install xcb-util-wm$"),
        ("pacman", "sudo pacman -S xcb-util-wm$"),
        ("none", "Install the packages"),
    ],
)
def test_missing_library_names_the_command(bare_linux: pytest.MonkeyPatch, tool: str, line: str) -> None:
    bare_linux.setenv("DISPLAY", ":0")
    bare_linux.setattr(shutil, "which", lambda name: name if name == tool else None)
    with pytest.raises(SystemExit, match=rf"libxcb-icccm\.so\.4.*{line}"):
        ensure_system_libraries(screen=True)


def test_root_on_debian_installs_what_is_missing(bare_linux: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    bare_linux.setenv("DISPLAY", ":0")
    bare_linux.setattr(system_libraries, "can_use_apt", lambda: True)
    bare_linux.setattr(system_libraries, "apt_install", installed.extend)
    bare_linux.setattr(system_libraries, "is_loadable", lambda name: name != "libxcb-icccm.so.4" or bool(installed))
    ensure_system_libraries(screen=True)
    assert installed == ["libxcb-icccm4"]


def test_no_screen_is_said(bare_linux: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="no screen here"):
        ensure_system_libraries(screen=True)


@pytest.mark.parametrize("platform", ["offscreen", "minimal", "vnc:size=800x600"])
def test_platform_without_a_screen_asks_for_none(bare_linux: pytest.MonkeyPatch, platform: str) -> None:
    bare_linux.setenv("QT_QPA_PLATFORM", platform)
    ensure_system_libraries(screen=True)


def start_on(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """The sentence that ends the start with these variables, "" if it goes on; libraries are all there."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "XDG_SESSION_TYPE", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(system_libraries, "missing_libraries", lambda platforms: [])
    try:
        ensure_system_libraries(screen=True)
    except SystemExit as stopped:
        sentence = str(stopped)
        assert sentence.endswith("--screenshot.")
        assert "\n" not in sentence
        return sentence
    return ""


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems have one screen")


@linux_only
def test_screen_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if not system_libraries.is_loadable("libxcb.so.1"):
        pytest.skip("there is no libxcb here")
    assert ":98765 (DISPLAY) does not answer" in start_on(monkeypatch, DISPLAY=":98765")
    assert ":98765 (DISPLAY) does not answer" in start_on(monkeypatch, DISPLAY=":98765", QT_QPA_PLATFORM="xcb")


@linux_only
@pytest.mark.parametrize("runtime", [True, False])
def test_wayland_without_a_compositor_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runtime: bool
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path) if runtime else "")
    (tmp_path / "wayland-9").touch()  # of a compositor that crashed
    assert "compositor answers at wayland-8" in start_on(monkeypatch, WAYLAND_DISPLAY="wayland-8")
    if system_libraries.is_loadable("libwayland-client.so.0"):
        assert "compositor answers at wayland-9" in start_on(monkeypatch, WAYLAND_DISPLAY="wayland-9")
    said = start_on(monkeypatch, QT_QPA_PLATFORM="wayland", DISPLAY=":0")
    assert "compositor answers at wayland-0" in said
    assert "unset QT_QPA_PLATFORM, start in a desktop session" in said
    assert "no screen here" in start_on(monkeypatch, QT_QPA_PLATFORM="wayland")


@linux_only
def test_where_wayland_does_not_answer_x_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_libraries, "x_problem", lambda: "")
    assert start_on(monkeypatch, WAYLAND_DISPLAY="wayland-8", DISPLAY=":0") == ""
    assert os.environ["QT_QPA_PLATFORM"] == "xcb"


@pytest.mark.parametrize("platform", ["nowhere", "xbc", "nowhere:x=1;neither"])
def test_unknown_platform_is_said(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    said = start_on(monkeypatch, QT_QPA_PLATFORM=platform, DISPLAY=":0")
    assert f"no platform {platform.split(';')[0]!r} that works here (QT_QPA_PLATFORM)" in said


def test_of_several_platforms_those_that_work_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start_on(monkeypatch, QT_QPA_PLATFORM="nowhere;OFFSCREEN") == ""
    assert os.environ["QT_QPA_PLATFORM"] == "OFFSCREEN"


@pytest.mark.parametrize("factor", ["0", "nan", "-1", "1e9", "large"])
def test_scale_at_which_nothing_can_be_painted_is_said(monkeypatch: pytest.MonkeyPatch, factor: str) -> None:
    monkeypatch.setenv("QT_SCALE_FACTOR", factor)
    with pytest.raises(SystemExit, match=f"QT_SCALE_FACTOR is '{factor}'"):
        ensure_system_libraries(screen=False)


def test_another_qt_in_the_environment_is_not_used() -> None:
    """A person may have PyQt5 chosen for other programs."""
    variables = {**os.environ, "PYQTGRAPH_QT_LIB": "PyQt5", "QT_QPA_PLATFORM": "nowhere"}
    command = [sys.executable, "-m", "xo_gui", "--animation", "film.avi"]
    result = subprocess.run(
        command, env=variables, cwd=environment.ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("xo-gui: ")
    assert "not film.avi" in result.stderr
