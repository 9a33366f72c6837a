"""Fixtures of every test: no screen, no user settings, no unexpected log record, no thread or widget left over.

It does not import Qt, so that tests without Qt do not pay for the checks of widgets, timers and Qt threads.
"""

import atexit
import gc
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import hypothesis
import pytest

# Settings of the user's desktop that would affect the tests.
for name in [name for name in os.environ if name.startswith("QT_") and name != "QT_QPA_PLATFORM"]:
    del os.environ[name]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["PYQTGRAPH_QT_LIB"] = "PySide6"

# Set before platformdirs or Qt look up the user's folders.
home = tempfile.TemporaryDirectory(prefix="xo-gui-tests-", ignore_cleanup_errors=True)
atexit.register(home.cleanup)
for kind in ("CONFIG", "DATA", "CACHE", "STATE"):
    os.environ[f"XDG_{kind}_HOME"] = os.path.join(home.name, kind.lower())
if sys.platform == "darwin":
    os.environ["HOME"] = home.name

# A shared machine is slow now and then; speed is measured by benchmarks.
hypothesis.settings.register_profile("run", deadline=None)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the long versions of the tests")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("nightly" if config.getoption("--nightly") else "run")


def pytest_collection_finish() -> None:
    """Freeze all objects made before the first test, so that garbage collections do not scan them."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Effort:
    """How often a test repeats: `effort(6_000, 500_000)` is the first number, or with --nightly the second."""

    nightly: bool

    def __call__(self, ordinary: int, nightly: int) -> int:
        return nightly if self.nightly else ordinary


@pytest.fixture(scope="session")
def effort(pytestconfig: pytest.Config) -> Effort:
    return Effort(bool(pytestconfig.getoption("--nightly")))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> object:
    """A kind of data that the program does not have, added to the one table of kinds for one test."""
    from engine.data import DATA_KINDS
    from tests.toy_kind import ToyKind

    kind = ToyKind()
    monkeypatch.setitem(DATA_KINDS, kind.name, kind)
    return kind


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> object:
    """A kind of data whose sources are no drawings, added to the one table of kinds for one test."""
    from engine.data import DATA_KINDS
    from tests.toy_kind import RowKind

    kind = RowKind()
    monkeypatch.setitem(DATA_KINDS, kind.name, kind)
    return kind


@pytest.fixture(autouse=True)
def no_unexpected_log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test that logs a warning or worse, unless it is marked `expects_log`."""
    yield
    if request.node.get_closest_marker("expects_log"):
        return
    records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    loud = [record for record in records if record.levelno >= logging.WARNING]
    if loud:
        lines = [f"{record.levelname} {record.name}: {record.getMessage()}" for record in loud]
        text = "unexpected log records (mark the test expects_log if they are meant):\n" + "\n".join(lines)
        pytest.fail(text, pytrace=False)


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, and a test with Qt that leaves a widget, a timer or a QThread."""
    threads = set(threading.enumerate())
    # Keeps references, because PySide makes a new Python object for a widget without any.
    widgets = top_level_widgets()
    active = active_qt_objects() if uses_qt(request) else []
    yield
    left = [f"thread {thread.name}" for thread in lasting_threads(threads)]
    if uses_qt(request):
        deliver_deletions()
        left += [f"widget {widget!r}" for widget in new_ones(top_level_widgets(), widgets)]
        left += [f"running {one!r}" for one in new_ones(active_qt_objects(), active)]
    if left:
        pytest.fail("left behind:\n" + "\n".join(left), pytrace=False)


def new_ones(now: list[object], before: list[object]) -> list[object]:
    known = {id(one) for one in before}
    return [one for one in now if id(one) not in known]


def lasting_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    """New threads that do not end within a second of a garbage collection."""
    # Python lists a thread that Qt started as a dummy, and goes on listing it when it has ended.
    new = [
        thread for thread in set(threading.enumerate()) - before if not isinstance(thread, threading._DummyThread)
    ]
    if new:
        gc.collect()
    deadline = time.monotonic() + 1
    for thread in new:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in new if thread.is_alive()]


def uses_qt(request: pytest.FixtureRequest) -> bool:
    return not {"qapp", "qtbot"}.isdisjoint(request.fixturenames)


def top_level_widgets() -> list[object]:
    widgets = sys.modules.get("PySide6.QtWidgets")
    if widgets is None or widgets.QApplication.instance() is None:
        return []
    return list(widgets.QApplication.topLevelWidgets())


def active_qt_objects() -> list[object]:
    """The running timers and Qt threads that have a Python object."""
    core = sys.modules.get("PySide6.QtCore")
    if core is None:
        return []
    # Compares types, because isinstance runs the code of proxies and takes five times as long.
    kinds = kinds_of(core.QTimer) | kinds_of(core.QThread)
    return [one for one in gc.get_objects() if type(one) in kinds and is_active(one)]


def kinds_of(kind: type) -> set[type]:
    return {kind}.union(*map(kinds_of, kind.__subclasses__()))


def is_active(item: object) -> bool:
    import shiboken6

    if not shiboken6.isValid(item):
        return False
    method = getattr(item, "isRunning", None) or getattr(item, "isActive", None)
    return bool(method and method())


def deliver_deletions() -> None:
    """Run pending deleteLater() calls, which otherwise wait for the event loop."""
    from PySide6.QtCore import QCoreApplication, QEvent

    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
