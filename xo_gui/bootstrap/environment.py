"""The virtual environment of a checkout: created, repaired and entered if the running Python lacks a requirement.

An environment that meets the requirements is left unchanged.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

from xo_gui.bootstrap.installer import apt_install, can_use_apt, exit_with, print_status, run
from xo_gui.bootstrap.requirements import (
    Project,
    installed_versions,
    missing_requirements,
    read_project,
    requested_extras,
)

ROOT = Path(__file__).resolve().parent.parent.parent
OLDEST_PYTHON = (3, 11)
JUST_INSTALLED = "XO_GUI_JUST_INSTALLED"


class Stamp(NamedTuple):
    """Record that a finished installation leaves in its environment: digest of pyproject.toml, installed extras."""

    digest: str
    extras: frozenset[str]


class Environment(NamedTuple):
    """A virtual environment of the program; its lock file and its unfinished marker lie beside its folder."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def stamp_file(self) -> Path:
        return self.folder / "xo-gui.json"

    @property
    def lock_file(self) -> Path:
        return self.folder.with_name(self.folder.name + ".lock")

    @property
    def unfinished_file(self) -> Path:
        return self.folder.with_name(self.folder.name + ".unfinished")

    def is_running(self) -> bool:
        """Whether the running interpreter belongs to this environment."""
        return self.folder.exists() and os.path.samefile(sys.prefix, self.folder)

    def stamp(self) -> Stamp | None:
        """The stamp of the last finished installation; None if missing or damaged."""
        if self.unfinished_file.exists():
            return None
        try:
            table = json.loads(self.stamp_file.read_text("utf-8"))
            return Stamp(table["mark"], frozenset(table["extras"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def python_version(self) -> tuple[int, ...] | None:
        """The (major, minor) version it was created for; None if its Python or the base Python no longer exists."""
        try:
            settings = (self.folder / "pyvenv.cfg").read_text("utf-8")
        except OSError:
            return None
        home = re.search(r"^home *= *(.+?) *$", settings, re.MULTILINE)
        version = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", settings, re.MULTILINE)
        if home is None or version is None or not Path(home.group(1)).is_dir() or not self.python.exists():
            return None
        return tuple(map(int, version.groups()))

    def has_pip(self) -> bool:
        return any(self.folder.glob("[Ll]ib/python*/site-packages/pip")) or any(
            self.folder.glob("Lib/site-packages/pip")
        )

    def is_ready(self, project: Project, extras: frozenset[str]) -> bool:
        """Whether it holds a finished installation of this pyproject.toml with at least these extras."""
        stamp = self.stamp()
        if stamp is None or self.python_version() is None:
            return False
        return stamp.digest == project.digest and stamp.extras >= extras


def ensure_environment(extras: Sequence[str], module: str) -> None:
    """Return if this interpreter meets pyproject.toml and the extras; otherwise install them and restart.

    Restarting replaces this process by `python -m module` with the same arguments, so that the call returns only
    if every requirement is met. Raises SystemExit with one sentence if that is impossible: an old Python, no
    network, no pip, an unknown extra.
    """
    require_python(tuple(sys.version_info[:3]))
    if not (ROOT / "pyproject.toml").is_file():
        return
    just_installed = os.environ.pop(JUST_INSTALLED, "") == "1"
    project = read_project(ROOT / "pyproject.toml")
    wanted = requested_extras(project, extras)
    own, spare = Environment(ROOT / ".venv"), Environment(cache_folder(ROOT))
    missing = missing_requirements(project.requirements_for(wanted), installed_versions(sys.path))
    if not missing and is_usable(own, spare, project, wanted):
        return
    for environment in (own, spare):
        if environment.is_ready(project, wanted) and not environment.is_running():
            restart(environment, module)
    if just_installed:
        exit_with(
            "The installation finished, but the environment does not meet the requirements "
            f"({', '.join(missing) or 'pyproject.toml changed meanwhile'}); delete .venv and start again."
        )
    started = time.monotonic()
    try:
        environment = install(project, wanted, own, spare)
    except OSError as error:
        exit_with(f"Could not prepare the Python environment: {error}.")
    except KeyboardInterrupt:
        print_status("Stopped. The next start creates the environment again.")
        raise SystemExit(130) from None
    print_status(f"Installed in {time.monotonic() - started:.0f} s.")
    os.environ[JUST_INSTALLED] = "1"
    restart(environment, module)


def require_python(version: tuple[int, ...]) -> None:
    """Raises SystemExit with one sentence if the version is too old."""
    if version[:2] < OLDEST_PYTHON:
        exit_with(
            f"XO GUI needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer, and this is Python "
            f"{'.'.join(map(str, version))} ({sys.executable}): start it with a newer Python, "
            "or with `uv run xo-gui`, which brings its own."
        )


def is_usable(own: Environment, spare: Environment, project: Project, extras: frozenset[str]) -> bool:
    """Whether the running environment, in which no requirement is missing by name, is complete.

    An environment of ours needs its stamp; one made by another tool (uv, pip, conda) has no stamp and needs none.
    """
    for environment in (own, spare):
        ours = environment.stamp_file.exists() or environment.unfinished_file.exists()
        if ours and environment.is_running():
            return environment.is_ready(project, extras) and environment.python_version() == sys.version_info[:2]
    return True


def cache_folder(root: Path) -> Path:
    """Folder of the environment for a checkout that cannot be written to."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "xo-gui" / f"venv-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"


def install(project: Project, extras: frozenset[str], own: Environment, spare: Environment) -> Environment:
    """Create or repair one of the two environments and return it.

    Raises OSError, and SystemExit with one sentence if an installer fails.
    """
    environment = own
    try:
        own.lock_file.open("a").close()
    except OSError as error:
        environment = spare
        print_status(f"{ROOT} cannot be written to ({error.strerror}), so the environment is created elsewhere.")
        spare.folder.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(environment.lock_file) as lock:
        if environment.is_ready(project, extras) and not environment.is_running():
            return environment
        install_into(environment, project, extras, lock)
    return environment


def install_into(environment: Environment, project: Project, extras: frozenset[str], lock: TextIO) -> None:
    """Install into the environment, which the caller has locked, and write its stamp."""
    stamp = environment.stamp()
    uv = shutil.which("uv")
    fresh = needs_rebuild(environment, stamp, extras, uv)
    if stamp:
        kept = stamp.extras & set(project.requirements)
        extras |= {extra for extra in kept if not (is_cuda(extra) and any(map(is_cuda, extras)))}
    announce(environment, project, extras, stamp, fresh, uv)
    if fresh:
        if uv is None and find_spec("ensurepip") is None:
            install_venv_package()
        environment.unfinished_file.touch()
        if environment.folder.exists():
            shutil.rmtree(environment.folder)
        make = [uv, "venv", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        run([*make, str(environment.folder)], f"Could not create {environment.folder}.", lock=lock)
    environment.unfinished_file.touch()
    target = f".[{','.join(sorted(extras))}]" if extras else "."
    if uv:
        command = [uv, "pip", "install", "--python", str(environment.python), "--editable", target]
    else:
        pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        command = [*pip, "install", "--progress-bar", "off", "--editable", target]
    run(command, "The packages could not be installed; is there a network connection?", ROOT, lock)
    content = {"mark": project.digest, "extras": sorted(extras)}
    environment.stamp_file.write_text(json.dumps(content), "utf-8")
    environment.unfinished_file.unlink()


def needs_rebuild(environment: Environment, stamp: Stamp | None, extras: frozenset[str], uv: str | None) -> bool:
    """Whether to start from an empty folder instead of installing into the existing environment."""
    version = environment.python_version()
    if environment.unfinished_file.exists() or version is None or version < OLDEST_PYTHON:
        return True
    if environment.is_running() and version != sys.version_info[:2]:
        return True
    if uv is None and not environment.has_pip():
        return True
    # The two CuPy wheels overwrite each other's files, and neither pip nor uv detects it.
    others = stamp.extras - extras if stamp else frozenset()
    return any(map(is_cuda, extras)) and any(map(is_cuda, others))


def is_cuda(extra: str) -> bool:
    return extra.startswith("cuda")


def announce(
    environment: Environment,
    project: Project,
    extras: frozenset[str],
    stamp: Stamp | None,
    fresh: bool,
    uv: str | None,
) -> None:
    """Print what will be installed, why, where and how large it is."""
    if environment.unfinished_file.exists():
        print_status("The last installation did not finish, so the environment is created again.")
    elif stamp and stamp.digest != project.digest:
        print_status("pyproject.toml has changed since the last installation.")
    names = ", ".join(re.split(r"[\[<>=!; ]", line)[0] for line in project.requirements_for(extras))
    size = "about 110 MB to download, 360 MB on disk" if fresh else "only what is new"
    print_status(
        f"Installing {names} and their dependencies with {'uv' if uv else 'pip'} ({size}) "
        f"into {environment.folder}; nothing outside that folder changes."
    )
    cuda = None if any(map(is_cuda, extras)) else matching_cuda_extra()
    if cuda:
        print_status(
            "An NVIDIA driver was found: to compute on the GPU, start once with the environment variable "
            f"XO_GUI_EXTRAS={cuda} (about 1.5 GB more)."
        )


def matching_cuda_extra() -> str | None:
    """The extra that matches this machine's NVIDIA driver; None without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    return "cuda13" if version.value >= 13000 else "cuda12"


@contextmanager
def file_lock(file: Path) -> Iterator[TextIO]:
    """Hold an exclusive file lock, released at the latest when the process ends; waits for another start's lock."""
    with file.open("a") as handle:
        if not try_lock(handle):
            print_status("Another start is installing; waiting for it.")
            while not try_lock(handle):
                time.sleep(0.2)
        yield handle


def try_lock(handle: TextIO) -> bool:
    """Take the lock if it is free; returns whether it was. Raises OSError if the file system has no locks."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def install_venv_package() -> None:
    """Install Python's venv module, a separate package on Debian. Raises SystemExit with the command to type."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if can_use_apt():
        apt_install([package])
    elif shutil.which("apt-get"):
        exit_with(f"This Python cannot create virtual environments. Type: sudo apt install {package}")
    else:
        exit_with("This Python cannot create virtual environments (no ensurepip): install a full one, or uv.")


def restart(environment: Environment, module: str) -> NoReturn:
    """Run the module inside the environment, in place of this process."""
    command = [str(environment.python), "-m", module, *sys.argv[1:]]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    # Windows has no exec: wait for the child process, which handles Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(subprocess.call(command))
