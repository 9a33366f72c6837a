"""Runs pip, uv and apt, and says in plain sentences what they do and why they failed. Decides nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn, TextIO

# First words of the lines of pip, uv and apt that tell how far an installation is.
PROGRESS = ("Downloading", "Installing collected packages", "Prepared", "Installed", "Unpacking")


def run(command: Sequence[str], failure: str, folder: Path | None = None, lock: TextIO | None = None) -> None:
    """Run an installer in a folder and show its progress.

    Raises SystemExit with the sentence `failure` and the cause if it fails.
    """
    # An installer that outlives a killed start keeps the lock, so that no second one writes beside it.
    keep = (lock.fileno(),) if lock and os.name == "posix" else ()
    settings = {**os.environ, "PIP_USER": "0", "DEBIAN_FRONTEND": "noninteractive"}
    lines: deque[str] = deque(maxlen=60)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=settings,
        pass_fds=keep,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if line.strip().startswith(PROGRESS):
                say(f"  {line.strip()[:100]}")
    if process.returncode:
        stop(f"{failure} {Path(command[0]).name} ended with code {process.returncode}:\n{cause(lines)}")


def cause(lines: Iterable[str]) -> str:
    """The last few lines of an installer that tell why it failed."""
    told = [line for line in lines if line.strip()]
    errors = [line for line in told if re.match(r"\s*(error|e:|×|cause|[├╰]─▶)", line, re.IGNORECASE)]
    return "\n".join(f"  {line.strip()[:300]}" for line in (errors or told)[-4:])


def may_use_apt() -> bool:
    if sys.platform == "win32" or os.geteuid() != 0:
        return False
    return bool(shutil.which("apt-get")) and os.environ.get("XO_GUI_NO_APT") != "1"


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages as root. Raises SystemExit with the cause if that fails."""
    names = " ".join(packages)
    say(f"Installing what this system lacks with apt: {names} (XO_GUI_NO_APT=1 refuses).")
    failure = f"apt could not install {names}."
    run(["apt-get", "update"], failure)
    run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], failure)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def stop(sentence: str) -> NoReturn:
    """Raise SystemExit: the sentence goes to the error stream, and the exit code is 1."""
    raise SystemExit(sentence)
