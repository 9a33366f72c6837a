"""The rules of the source tree that no tool knows by itself: floors, forbidden calls, sizes, the top level."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "xo_gui",
    "engine",
    "assets",
    "tests",
    "LICENSE",
    "CHANGELOG.md",
    "docs",
}
DRAWERS = {"utils", "util", "misc", "helpers", "helper", "common"}
MOST_LINES = 900
LOADS_CODE = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
SOURCES = sorted(path for folder in ("engine", "xo_gui") for path in (ROOT / folder).rglob("*.py"))
ALL_FILES = sorted([*SOURCES, *(ROOT / "tests").rglob("*.py")])

# The interpreter that runs import-linter's command, which has no module of its own to run.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def nodes(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        for node in ast.walk(parsed(path)):
            yield path, node


def imports(tree: ast.AST) -> set[str]:
    """Full names of everything that is imported anywhere in a module, `from a import b` as both a and a.b."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


# Every module that is no package, by its full name.
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in SOURCES if path.name != "__init__.py"
}


def outside(path: Path, module: str) -> bool:
    """Whether a file is outside the package of a module, and that package is neither `engine` nor `xo_gui`."""
    package = Path(*module.split(".")[:-1])
    return len(package.parts) > 1 and not path.relative_to(ROOT).is_relative_to(package)


def called(node: ast.AST) -> str | None:
    """The plain name that a call calls, or None: `exec(...)`, but not Qt's `dialog.exec()`."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def catches_everything(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in caught)


def does_nothing(statement: ast.stmt) -> bool:
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant or isinstance(statement, ast.Pass | ast.Continue)


def test_floors_hold() -> None:
    command = [sys.executable, "-c", LINT_IMPORTS, "--no-logo"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(result.stdout + result.stderr, pytrace=False)


def test_every_folder_of_modules_is_a_package() -> None:
    # import-linter overlooks a folder without __init__.py, and with it every rule that is broken there.
    assert not [str(path.parent) for path in SOURCES if not (path.parent / "__init__.py").exists()]


def test_packages_are_imported_by_their_face() -> None:
    """From outside, only what the `__init__` of a package lists is used; what it lists is public."""
    past, private = [], []
    for path in SOURCES:
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            past += [f"{place(path, node)} {name}" for name in imports(node) & set(MODULES) if outside(path, name)]
            if isinstance(node, ast.ImportFrom) and path.name == "__init__.py":
                private += [
                    f"{place(path, node)} {alias.name}" for alias in node.names if alias.name.startswith("_")
                ]
    assert (past, private) == ([], [])


def test_modules_do_not_import_each_other_in_circles() -> None:
    uses = {
        name: {used for used in imports(parsed(path)) if used in MODULES} - {name} for name, path in MODULES.items()
    }
    sorter = TopologicalSorter(uses)
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])), pytrace=False)


def test_public_class_names_occur_once() -> None:
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(place(path, node))
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_no_error_is_swallowed() -> None:
    silent = []
    for path, node in nodes(ALL_FILES):
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None or (catches_everything(node) and all(map(does_nothing, node.body)))
        ):
            silent.append(place(path, node))
        # contextlib.suppress(Exception) is the same in another coat.
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            silent += [place(path, node) for kind in node.args if ast.unparse(kind).endswith("Exception")]
    assert not silent


def test_nothing_runs_code_from_files() -> None:
    found = []
    for path, node in nodes(SOURCES):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [place(path, node) for name in imports(node) if name.split(".")[0] in LOADS_CODE]
        if called(node) in {"eval", "exec"}:
            found.append(place(path, node))
        # Its files may hold pickled objects, which it unpickles as soon as it reads them.
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith("QSettings"):
            found.append(place(path, node))
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            safe = isinstance(node.value, ast.Constant) and node.value.value is False
            found += [] if safe else [place(path, node.value)]
    assert not found


class Constructors:
    """What a call with keyword arguments reaches: Qt's constructor, or an `__init__` of this project."""

    def __init__(self, paths: list[Path]) -> None:
        self._classes = {
            node.name: (
                [ast.unparse(base).split(".")[-1] for base in node.bases],
                any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body),
            )
            for _, node in nodes(paths)
            if isinstance(node, ast.ClassDef)
        }

    def is_of_qt(self, name: str) -> bool:
        """Whether calling the class hands its arguments to Qt."""
        if name not in self._classes:
            return re.match("Q[A-Z]", name) is not None
        bases, has_own = self._classes[name]
        return not has_own and any(map(self.is_of_qt, bases))

    def calls_to_qt(self, tree: ast.AST) -> Iterator[ast.Call]:
        """Calls with keyword arguments that reach a constructor of Qt: by name, by `partial`, by `super()`."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.keywords:
                called = ast.unparse(node.args[0] if self._is_partial(node) else node.func).split(".")[-1]
                if self.is_of_qt(called):
                    yield node
            elif isinstance(node, ast.ClassDef) and any(map(self.is_of_qt, self._classes[node.name][0])):
                inside = [part for part in ast.walk(node) if isinstance(part, ast.Call) and part.keywords]
                yield from (part for part in inside if ast.unparse(part.func) == "super().__init__")

    def _is_partial(self, node: ast.Call) -> bool:
        return bool(node.args) and ast.unparse(node.func).endswith("partial")


def test_no_qt_property_or_signal_is_a_keyword_argument() -> None:
    """PySide makes `setInterval` of `interval` by the locale's upper case, which in Turkish is another letter."""
    window = [path for path in ALL_FILES if "xo_gui" in path.relative_to(ROOT).parts]
    constructors = Constructors(window)
    assert not [place(path, call) for path in window for call in constructors.calls_to_qt(parsed(path))]


@pytest.mark.parametrize(
    "line",
    [
        "QTimer(self, interval=5)",
        "QtCore.QTimer(timeout=slot)",
        "partial(QLabel, text='i')",
        "class Box(QFrame):\n    def __init__(self):\n        super().__init__(objectName='x')",
        "class Box(QFrame): pass\nBox(objectName='x')",
    ],
)
def test_every_way_to_hand_keywords_to_qt_is_found(line: str, tmp_path: Path) -> None:
    file = tmp_path / "written.py"
    file.write_text(line)
    assert list(Constructors([file]).calls_to_qt(parsed(file)))


def test_every_painter_ends_when_painting_fails() -> None:
    """A picture destroyed while it is painted ends the process, and a widget left painting is painted no more."""
    window = [path for path in SOURCES if path.is_relative_to(ROOT / "xo_gui")]
    ended = {item.context_expr for _, node in nodes(window) if isinstance(node, ast.With) for item in node.items}
    assert not [place(path, one) for path, one in nodes(window) if called(one) == "QPainter" and one not in ended]


def test_only_the_command_line_prints() -> None:
    talks = (ROOT / "engine/cli/main.py", ROOT / "engine/cli")
    silent = [path for path in SOURCES if path.is_relative_to(ROOT / "engine")]
    silent = [path for path in silent if not any(path.is_relative_to(talker) for talker in talks)]
    assert not [place(path, node) for path, node in nodes(silent) if called(node) == "print"]


def test_every_file_names_its_noun() -> None:
    folders = [ROOT / "engine", ROOT / "xo_gui", ROOT / "tests"]
    names = [path for folder in folders for path in folder.rglob("*") if path.stem.lower() in DRAWERS]
    assert not [str(path.relative_to(ROOT)) for path in names]


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_is_short_and_has_a_docstring(path: Path) -> None:
    text = path.read_text("utf-8")
    empty_package = path.name == "__init__.py" and not text.strip()
    assert empty_package or ast.get_docstring(parsed(path)), (
        "a module opens with a docstring that names its subject"
    )
    assert len(text.splitlines()) <= MOST_LINES


def test_top_level_is_the_agreed_one() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if result.returncode:
        pytest.skip("this is not a git checkout")
    top = {name.split("/")[0] for name in result.stdout.split("\0") if name}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_bootstrap_needs_nothing_but_python() -> None:
    for path in (ROOT / "xo_gui/bootstrap").glob("*.py"):
        foreign = {name.split(".")[0] for name in imports(parsed(path))} - sys.stdlib_module_names
        assert foreign <= {"xo_gui"}
        assert all(name.startswith("xo_gui.bootstrap") for name in imports(parsed(path)) if "xo_gui" in name)


@pytest.mark.parametrize("path", ["xo_gui/__init__.py", "xo_gui/__main__.py", "tests/__main__.py"])
def test_an_old_python_can_read_what_runs_first(path: str) -> None:
    first = [*(ROOT / "xo_gui/bootstrap").glob("*.py"), ROOT / path]
    for file in first:
        ast.parse(file.read_text("utf-8"), str(file), feature_version=(3, 7))


def test_mailbox_knows_no_widget_and_no_engine() -> None:
    names = imports(parsed(ROOT / "xo_gui/state/mailbox.py"))
    widgets = ("PySide6.QtWidgets", "PySide6.QtGui", "pyqtgraph", "engine", "xo_gui")
    assert not [name for name in names if name.startswith(widgets)]


@pytest.mark.parametrize("module", ["engine", "engine.cli.main"])
def test_engine_loads_no_qt(module: str) -> None:
    if not (ROOT / f"{module.replace('.', '/')}.py").exists() and module != "engine":
        pytest.skip(f"{module} is not written yet")
    loaded = "[name for name in sys.modules if name.startswith(('PySide6', 'pyqtgraph', 'xo_gui'))]"
    code = f"import sys, {module}; sys.exit(', '.join({loaded}) or 0)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
