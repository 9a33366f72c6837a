"""Runs pip, uv and apt as subprocesses, shows their progress and reports why they failed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

# Prefixes of the lines of pip, uv and apt that are shown as progress.
PROGRESS = ("Downloading", "Installing collected packages", "Prepared", "Installed", "Unpacking")


def run(command: Sequence[str], failure: str, folder: Path | None = None, lock: TextIO | None = None) -> None:
    """Run an installer in a folder and show its progress. Raises SystemExit with `failure` and the cause."""
    # An installer that outlives a killed start keeps the lock, so that no second one writes at the same time.
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
                print_status(f"  {line.strip()[:100]}")
    if process.returncode:
        exit_with(
            f"{failure} {Path(command[0]).name} ended with code {process.returncode}:\n{failure_lines(lines)}"
        )


def failure_lines(lines: Iterable[str]) -> str:
    """The last lines of an installer's output that name the error."""
    printed = [line for line in lines if line.strip()]
    errors = [line for line in printed if re.match(r"\s*(error|e:|×|cause|[├╰]─▶)", line, re.IGNORECASE)]
    return "\n".join(f"  {line.strip()[:300]}" for line in (errors or printed)[-4:])


def can_use_apt() -> bool:
    if sys.platform == "win32" or os.geteuid() != 0:
        return False
    return bool(shutil.which("apt-get")) and os.environ.get("XO_GUI_NO_APT") != "1"


def apt_install(packages: Sequence[str]) -> None:
    """Install Debian packages as root. Raises SystemExit with the cause if that fails."""
    names = " ".join(packages)
    print_status(f"Installing missing system packages with apt: {names} (XO_GUI_NO_APT=1 prevents this).")
    failure = f"apt could not install {names}."
    run(["apt-get", "update"], failure)
    run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], failure)


def print_status(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def exit_with(sentence: str) -> NoReturn:
    """Raises SystemExit: prints the sentence to stderr, exit code 1."""
    raise SystemExit(sentence)
