"""The folder that caches compiled kernels between test runs."""

from __future__ import annotations

import getpass
import os
import tempfile
from functools import cache
from pathlib import Path


@cache
def build_folder() -> Path:
    """A folder writable by this user only, since the libraries in it are loaded and executed."""
    path = Path(tempfile.gettempdir()) / f"xo-kernels-{getpass.getuser()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid"):
        status = path.lstat()
        assert status.st_uid == os.getuid(), f"{path} belongs to someone else"
        assert status.st_mode & 0o777 == 0o700, f"{path} is open to others"
    return path
