"""The shared libraries and the display that Qt needs on Linux; Qt calls abort() if one is missing."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from xo_gui.bootstrap.installer import apt_install, can_use_apt, exit_with

if TYPE_CHECKING:
    from collections.abc import Sequence

OFFSCREEN_PLATFORMS = ("offscreen", "minimal", "minimalegl", "vnc", "linuxfb", "eglfs", "vkkhrdisplay")


class Library(NamedTuple):
    """A shared library that Qt loads, and its package for apt, dnf and pacman."""

    soname: str
    apt: str
    dnf: str
    pacman: str


QT_LIBRARIES = (
    Library("libGL.so.1", "libgl1", "libglvnd-glx", "libglvnd"),
    Library("libEGL.so.1", "libegl1", "libglvnd-egl", "libglvnd"),
    Library("libxkbcommon.so.0", "libxkbcommon0", "libxkbcommon", "libxkbcommon"),
    Library("libfontconfig.so.1", "libfontconfig1", "fontconfig", "fontconfig"),
    Library("libdbus-1.so.3", "libdbus-1-3", "dbus-libs", "dbus"),
    Library("libglib-2.0.so.0", "libglib2.0-0", "glib2", "glib2"),
    Library("libX11.so.6", "libx11-6", "libX11", "libx11"),
)
X_LIBRARIES = (
    Library("libxcb-cursor.so.0", "libxcb-cursor0", "xcb-util-cursor", "xcb-util-cursor"),
    Library("libxcb-icccm.so.4", "libxcb-icccm4", "xcb-util-wm", "xcb-util-wm"),
    Library("libxcb-image.so.0", "libxcb-image0", "xcb-util-image", "xcb-util-image"),
    Library("libxcb-keysyms.so.1", "libxcb-keysyms1", "xcb-util-keysyms", "xcb-util-keysyms"),
    Library("libxcb-render-util.so.0", "libxcb-render-util0", "xcb-util-renderutil", "xcb-util-renderutil"),
    Library("libxcb-shape.so.0", "libxcb-shape0", "libxcb", "libxcb"),
    Library("libxcb-randr.so.0", "libxcb-randr0", "libxcb", "libxcb"),
    Library("libxcb-xkb.so.1", "libxcb-xkb1", "libxcb", "libxcb"),
    Library("libxkbcommon-x11.so.0", "libxkbcommon-x11-0", "libxkbcommon-x11", "libxkbcommon-x11"),
    Library("libX11-xcb.so.1", "libx11-xcb1", "libX11-xcb", "libx11"),
)
WAYLAND_LIBRARIES = (
    Library("libwayland-client.so.0", "libwayland-client0", "libwayland-client", "wayland"),
    Library("libwayland-cursor.so.0", "libwayland-cursor0", "libwayland-cursor", "wayland"),
)


def ensure_system_libraries(screen: bool) -> None:
    """Check for Qt's shared libraries and, if `screen`, for a display; does nothing outside Linux.

    On Debian as root the missing packages are installed, unless XO_GUI_NO_APT=1; otherwise raises SystemExit with
    the command to type.
    """
    if sys.platform != "linux":
        return
    platform = re.split("[:;]", os.environ.get("QT_QPA_PLATFORM", ""))[0]
    needed = list(QT_LIBRARIES)
    on_screen = screen and platform not in OFFSCREEN_PLATFORMS
    on_x = on_screen and platform != "wayland" and bool(os.environ.get("DISPLAY"))
    if on_screen:
        require_screen()
        needed += X_LIBRARIES if on_x else WAYLAND_LIBRARIES
    missing = [library for library in needed if not is_loadable(library.soname)]
    if missing:
        install_libraries(missing)
    if on_x and not os.environ.get("WAYLAND_DISPLAY"):
        require_x_connection()


def is_loadable(soname: str) -> bool:
    """Whether the dynamic loader finds a shared library."""
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def install_libraries(missing: Sequence[Library]) -> None:
    """Install shared libraries from the system's packages. Raises SystemExit with the command to type."""
    if can_use_apt():
        apt_install(sorted({library.apt for library in missing}))
        missing = [library for library in missing if not is_loadable(library.soname)]
        if not missing:
            return
    names = ", ".join(library.soname for library in missing)
    exit_with(f"The window needs shared libraries that are not installed here ({names}). {install_line(missing)}")


def install_line(missing: Sequence[Library]) -> str:
    """The command that installs the libraries on this system, as a sentence."""
    commands = (
        ("apt-get", "apt install", "apt"),
        ("dnf", "dnf install", "dnf"),
        ("pacman", "pacman -S", "pacman"),
    )
    for tool, command, column in commands:
        if shutil.which(tool):
            packages = sorted({str(getattr(library, column)) for library in missing})
            return f"Type: sudo {command} {' '.join(packages)}"
    return "Install the packages of your system that contain them."


def require_screen() -> None:
    """Raises SystemExit with one sentence if neither DISPLAY nor WAYLAND_DISPLAY is set."""
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        exit_with(
            "There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set): start in a desktop session, "
            "log in with `ssh -X`, put `xvfb-run` before the command, or save a picture with --screenshot."
        )


def require_x_connection() -> None:
    """Raises SystemExit with one sentence if the X server that DISPLAY names refuses the connection."""
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if refused:
        exit_with(
            f"The screen {os.environ['DISPLAY']} (DISPLAY) does not answer; it may belong to another user: "
            "start in a desktop session, log in with `ssh -X`, or put `xvfb-run` before the command."
        )
