"""The virtual environment of a checkout: made, mended and entered if the running Python lacks anything.

It never touches an environment that has what is needed, whoever made it.
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
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from xo_gui.bootstrap.installer import apt_install, may_use_apt, run, say, stop
from xo_gui.bootstrap.requirements import (
    Project,
    installed_versions,
    missing_requirements,
    read_project,
    wanted_extras,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn, TextIO

ROOT = Path(__file__).resolve().parent.parent.parent
OLDEST_PYTHON = (3, 11)
JUST_INSTALLED = "XO_GUI_JUST_INSTALLED"


class Stamp(NamedTuple):
    """What a finished installation wrote into its environment."""

    mark: str
    extras: frozenset[str]


class Environment(NamedTuple):
    """A virtual environment of the program; its lock and its mark of unfinished work lie beside it."""

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
        """Whether this very interpreter is the environment's own."""
        return self.folder.exists() and os.path.samefile(sys.prefix, self.folder)

    def stamp(self) -> Stamp | None:
        """What the last finished installation left, or None: a torn stamp counts as none."""
        if self.unfinished_file.exists():
            return None
        try:
            table = json.loads(self.stamp_file.read_text("utf-8"))
            return Stamp(table["mark"], frozenset(table["extras"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def made_for(self) -> tuple[int, ...] | None:
        """The Python version it was made for, or None if its Python, or the one beneath it, is gone."""
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
        """Whether a finished installation of this pyproject.toml with these extras is in it."""
        stamp = self.stamp()
        if stamp is None or self.made_for() is None:
            return False
        return stamp.mark == project.mark and stamp.extras >= extras


def ensure_environment(extras: Sequence[str], module: str) -> None:
    """Return if this interpreter has what pyproject.toml and the extras ask for; else make it so and restart.

    Restarting replaces this process by `python -m module` with the same arguments, so that the call returns
    only where everything is there. Raises SystemExit with one sentence where that cannot be done: an old
    Python, no network, no pip, an unknown extra.
    """
    require_python(tuple(sys.version_info[:3]))
    if not (ROOT / "pyproject.toml").is_file():
        return
    just_installed = os.environ.pop(JUST_INSTALLED, "") == "1"
    project = read_project(ROOT / "pyproject.toml")
    wanted = wanted_extras(project, extras)
    own, spare = Environment(ROOT / ".venv"), Environment(cache_folder(ROOT))
    missing = missing_requirements(project.asked(wanted), installed_versions(sys.path))
    if not missing and may_stay(own, spare, project, wanted):
        return
    for environment in (own, spare):
        if environment.is_ready(project, wanted) and not environment.is_running():
            restart(environment, module)
    if just_installed:
        stop(
            "The installation finished, yet the environment is not what it should be "
            f"({', '.join(missing) or 'pyproject.toml changed meanwhile'}): delete .venv and start again."
        )
    started = time.monotonic()
    try:
        environment = install(project, wanted, own, spare)
    except OSError as error:
        stop(f"Could not prepare the Python environment: {error}.")
    except KeyboardInterrupt:
        say("Stopped. The next start makes the environment again.")
        raise SystemExit(130) from None
    say(f"Installed in {time.monotonic() - started:.0f} s.")
    os.environ[JUST_INSTALLED] = "1"
    restart(environment, module)


def require_python(version: tuple[int, ...]) -> None:
    """Raise SystemExit with one sentence if the version is too old."""
    if version[:2] < OLDEST_PYTHON:
        stop(
            f"XO GUI needs Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer, and this is Python "
            f"{'.'.join(map(str, version))} ({sys.executable}): start it with a newer Python, "
            "or with `uv run xo-gui`, which brings its own."
        )


def may_stay(own: Environment, spare: Environment, project: Project, extras: frozenset[str]) -> bool:
    """Whether the running environment, in which nothing is missing by name, can be trusted.

    One of ours needs its stamp. One that somebody else made (uv, pip, conda) has no stamp and needs none.
    """
    for environment in (own, spare):
        ours = environment.stamp_file.exists() or environment.unfinished_file.exists()
        if ours and environment.is_running():
            return environment.is_ready(project, extras) and environment.made_for() == sys.version_info[:2]
    return True


def cache_folder(root: Path) -> Path:
    """Where the environment of a checkout goes that cannot be written to."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "xo-gui" / f"venv-{hashlib.sha256(str(root).encode()).hexdigest()[:12]}"


def install(project: Project, extras: frozenset[str], own: Environment, spare: Environment) -> Environment:
    """Make or mend one of the two environments and return it.

    Raises OSError, and SystemExit with one sentence if an installer fails.
    """
    environment = own
    try:
        own.lock_file.open("a").close()
    except OSError as error:
        environment = spare
        say(f"{ROOT} cannot be written to ({error.strerror}), so the environment goes elsewhere.")
        spare.folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(environment.lock_file) as lock:
        if environment.is_ready(project, extras) and not environment.is_running():
            return environment
        fill(environment, project, extras, lock)
    return environment


def fill(environment: Environment, project: Project, extras: frozenset[str], lock: TextIO) -> None:
    """Install into the environment, which the caller has locked, and stamp it."""
    stamp = environment.stamp()
    uv = shutil.which("uv")
    fresh = needs_remaking(environment, stamp, extras, uv)
    if stamp:
        kept = stamp.extras & set(project.requirements)
        extras |= {extra for extra in kept if not (is_cuda(extra) and any(map(is_cuda, extras)))}
    announce(environment, project, extras, stamp, fresh, uv)
    if fresh:
        if uv is None and find_spec("ensurepip") is None:
            add_venv_package()
        environment.unfinished_file.touch()
        if environment.folder.exists():
            shutil.rmtree(environment.folder)
        make = [uv, "venv", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        run([*make, str(environment.folder)], f"Could not make {environment.folder}.", lock=lock)
    environment.unfinished_file.touch()
    target = f".[{','.join(sorted(extras))}]" if extras else "."
    if uv:
        command = [uv, "pip", "install", "--python", str(environment.python), "--editable", target]
    else:
        pip = [str(environment.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        command = [*pip, "install", "--progress-bar", "off", "--editable", target]
    run(command, "The packages could not be installed; is there a network connection?", ROOT, lock)
    content = {"mark": project.mark, "extras": sorted(extras)}
    environment.stamp_file.write_text(json.dumps(content), "utf-8")
    environment.unfinished_file.unlink()


def needs_remaking(environment: Environment, stamp: Stamp | None, extras: frozenset[str], uv: str | None) -> bool:
    """Whether to start from an empty folder instead of installing on top of what is there."""
    version = environment.made_for()
    if environment.unfinished_file.exists() or version is None or version < OLDEST_PYTHON:
        return True
    if environment.is_running() and version != sys.version_info[:2]:
        return True
    if uv is None and not environment.has_pip():
        return True
    # The two CuPy wheels overwrite each other's files, and neither installer knows.
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
    """Say what will be installed, why, where and how big it is."""
    if environment.unfinished_file.exists():
        say("The last installation did not finish, so the environment is made again.")
    elif stamp and stamp.mark != project.mark:
        say("pyproject.toml has changed since the last installation.")
    names = ", ".join(re.split(r"[\[<>=!; ]", line)[0] for line in project.asked(extras))
    size = "about 110 MB to download, 360 MB on the disk" if fresh else "only what is new"
    say(
        f"Installing {names} and what they need with {'uv' if uv else 'pip'} ({size}) "
        f"into {environment.folder}; nothing outside that folder changes."
    )
    cuda = None if any(map(is_cuda, extras)) else fitting_cuda_extra()
    if cuda:
        say(
            "There is an NVIDIA driver here: to compute on the GPU, start once with the environment variable "
            f"XO_GUI_EXTRAS={cuda} (about 1.5 GB more)."
        )


def fitting_cuda_extra() -> str | None:
    """The extra for the NVIDIA driver of this machine, or None without a driver."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    version = ctypes.c_int(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    return "cuda13" if version.value >= 13000 else "cuda12"


@contextmanager
def locked(file: Path) -> Iterator[TextIO]:
    """Hold a lock that ends with the process, however it ends; wait for it if another start has it."""
    with file.open("a") as handle:
        if not try_lock(handle):
            say("Another start is installing at the moment; waiting for it.")
            while not try_lock(handle):
                time.sleep(0.2)
        yield handle


def try_lock(handle: TextIO) -> bool:
    """Take the lock if it is free. Raises OSError where the file system has no locks."""
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


def add_venv_package() -> None:
    """Bring Python's own venv, which Debian leaves out. Raises SystemExit with the command to type."""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if may_use_apt():
        apt_install([package])
    elif shutil.which("apt-get"):
        stop(f"This Python cannot make virtual environments. Type: sudo apt install {package}")
    else:
        stop("This Python cannot make virtual environments (it has no ensurepip): install a whole one, or uv.")


def restart(environment: Environment, module: str) -> NoReturn:
    """Run the module inside the environment, in place of this process."""
    command = [str(environment.python), "-m", module, *sys.argv[1:]]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    # Windows has no exec: wait for the child, and leave Ctrl-C to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise SystemExit(subprocess.call(command))
