"""The shared libraries and the display that Qt needs; Qt calls abort() if one is missing."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from xo_gui.bootstrap.installer import apt_install, can_use_apt, exit_with

# Platforms of Qt that work everywhere, and those that are what they are named after.
OFFSCREEN_PLATFORMS = ("offscreen", "minimal", "vnc")
NATIVE_PLATFORMS = ("windows", "cocoa")
REMEDY = (
    "start in a desktop session, log in with `ssh -X`, put `xvfb-run` before the command, or save a picture with "
    "--screenshot."
)
TRY_PLATFORM = """
from PySide6.QtGui import QGuiApplication
application = QGuiApplication(["xo-gui"])
print("works" if application.primaryScreen() else "has no screen")
"""
TRY_SECONDS = 20


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
    """Check for Qt's shared libraries and, if `screen`, for a platform of Qt that works here.

    On Debian as root the missing packages are installed, unless XO_GUI_NO_APT=1; otherwise raises SystemExit with
    the command to type. Raises SystemExit with one sentence if no platform works; those that do not are taken from
    the list that Qt tries.
    """
    require_scale_factor()
    platforms = requested_platforms() if screen else []
    problems = {platform: platform_problem(platform) for platform in platforms}
    working = [platform for platform in platforms if not problems[platform]]
    if screen and not working:
        exit_with(problems[platforms[0]])
    if sys.platform == "linux":
        missing = missing_libraries(working)
        if missing:
            install_libraries(missing)
    if screen and (len(working) < len(platforms) or "QT_QPA_PLATFORM" in os.environ):
        os.environ["QT_QPA_PLATFORM"] = ";".join(working)


def requested_platforms() -> list[str]:
    """The platforms that Qt will try in this order, each with its arguments: `vnc:size=800x600`."""
    requested = [name for name in os.environ.get("QT_QPA_PLATFORM", "").split(";") if name.strip()]
    if requested or sys.platform != "linux":
        return requested or ["cocoa" if sys.platform == "darwin" else "windows"]
    on_wayland = "WAYLAND_DISPLAY" in os.environ or os.environ.get("XDG_SESSION_TYPE") == "wayland"
    return ["wayland", "xcb"] if on_wayland else ["xcb"]


def base_name(platform: str) -> str:
    """The name of a platform without its arguments."""
    return platform.split(":")[0].strip().lower()


def missing_libraries(platforms: Sequence[str]) -> list[Library]:
    """What is missing of Qt's libraries, and of those of one platform: any that is complete, or else X."""
    lacking = {name: [one for one in libraries_of(name) if not is_loadable(one.soname)] for name in platforms}
    wanted: Sequence[Library] = ()
    if lacking and [] not in lacking.values():
        wanted = lacking[next((name for name in lacking if base_name(name) == "xcb"), platforms[0])]
    return [*(one for one in QT_LIBRARIES if not is_loadable(one.soname)), *wanted]


def libraries_of(platform: str) -> tuple[Library, ...]:
    """The shared libraries that a platform needs besides Qt's."""
    name = base_name(platform)
    return X_LIBRARIES if name == "xcb" else WAYLAND_LIBRARIES if name.startswith("wayland") else ()


def platform_problem(platform: str) -> str:
    """Why Qt could not show a window on this platform, as one sentence; "" if it can."""
    name = base_name(platform)
    if name in (*OFFSCREEN_PLATFORMS, *NATIVE_PLATFORMS):
        return ""
    if name == "xcb" and sys.platform == "linux":
        return x_problem()
    if name.startswith("wayland") and sys.platform == "linux":
        return wayland_problem()
    return other_problem(platform)


def require_scale_factor() -> None:
    """Raises SystemExit with one sentence if QT_SCALE_FACTOR is no scale that Qt can paint at."""
    text = os.environ.get("QT_SCALE_FACTOR", "").strip() or "1"
    try:
        fits = 0.25 <= float(text) <= 8
    except ValueError:
        fits = False
    if not fits:
        exit_with(f"QT_SCALE_FACTOR is {text!r}: it may be a number from 0.25 to 8; set another one, or unset it.")


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


def advice() -> str:
    """What to do if there is no screen."""
    return f"unset QT_QPA_PLATFORM, {REMEDY}" if os.environ.get("QT_QPA_PLATFORM") else REMEDY


def no_screen() -> str:
    return f"There is no screen here (neither DISPLAY nor WAYLAND_DISPLAY is set): {advice()}"


def x_problem() -> str:
    """Why no X server can be used, as one sentence; "" if one answers."""
    display = os.environ.get("DISPLAY")
    if not display:
        wayland = os.environ.get("WAYLAND_DISPLAY")
        return f"There is no X server here, DISPLAY is not set: {advice()}" if wayland else no_screen()
    if not is_loadable("libxcb.so.1"):
        return ""  # it is installed with the libraries that need it
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(None, None))
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if not refused:
        return ""
    return f"The screen {display} (DISPLAY) does not answer; it may belong to another user: {advice()}"


def wayland_problem() -> str:
    """Why no Wayland compositor can be used, as one sentence; "" if one answers."""
    if os.environ.get("WAYLAND_SOCKET"):
        return ""  # an open connection, which a trial would use up
    display = os.environ.get("WAYLAND_DISPLAY") or "wayland-0"
    socket = os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), display)
    if os.path.exists(socket) and wayland_answers():
        return ""
    if not os.environ.get("WAYLAND_DISPLAY") and not os.environ.get("DISPLAY"):
        return no_screen()
    return f"No Wayland compositor answers at {display} (WAYLAND_DISPLAY): {advice()}"


def wayland_answers() -> bool:
    """Whether the compositor accepts a connection; also if the library that connects is still to be installed."""
    if not is_loadable("libwayland-client.so.0"):
        return True
    client = ctypes.CDLL("libwayland-client.so.0")
    client.wl_display_connect.restype = ctypes.c_void_p
    connection = client.wl_display_connect(None)
    if connection:
        client.wl_display_disconnect(ctypes.c_void_p(connection))
    return bool(connection)


def other_problem(platform: str) -> str:
    """Why a platform that is seldom used does not work, as one sentence; "" if it does. Tried in a process of its
    own, since Qt ends the process where it does not."""
    command = [sys.executable, "-c", TRY_PLATFORM]
    try:
        result = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "QT_QPA_PLATFORM": platform},
            timeout=TRY_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        works = False
    else:
        works = result.returncode == 0 and b"works" in result.stdout
    return "" if works else f"Qt has no platform {platform!r} that works here (QT_QPA_PLATFORM): {advice()}"
