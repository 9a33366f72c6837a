"""The public face of the engine: what `import engine` offers, and the examples of docs/engine.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import engine

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs/engine.md").read_text("utf-8"), re.DOTALL)


def test_the_examples_of_the_documentation_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "\n".join(EXAMPLES).replace('"mine.safetensors"', repr(str(tmp_path / "mine.safetensors")))
    found: dict[str, object] = {}
    exec(compile(code, "docs/engine.md", "exec"), found)  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[0] in ("X", "O")
    assert lines[1] == "(4, 14, 14)"
    assert "unsure" in lines
    assert float(lines[-1]) > 0.8
    prediction, formula = found["prediction"], found["formula"]
    assert isinstance(prediction, engine.Prediction)
    shown = prediction.named_activations()["conv2d-1"][0, 3, 3]
    assert np.isclose((formula.values * formula.weights).sum() + formula.bias, shown, atol=1e-6)  # type: ignore[attr-defined]
    same = found["same"]
    assert isinstance(same, engine.Model)
    assert np.array_equal(engine.predict(same, prediction.activations[0][None])[0].votes, prediction.votes)


def test_importing_the_engine_loads_nothing() -> None:
    code = "import sys, engine; sys.exit(', '.join({'numpy', 'msgspec', 'engine.nn'} & set(sys.modules)) or 0)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_every_name_is_there_and_typed() -> None:
    tree = ast.parse((ROOT / "engine/__init__.py").read_text("utf-8"))
    typed = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert typed - {"import_module", "TYPE_CHECKING", "Any"} == set(engine.__all__) - {"__version__"}
    assert all(getattr(engine, name) is not None for name in engine.__all__)
    assert set(engine.__all__) <= set(dir(engine))
    with pytest.raises(AttributeError, match="no attribute 'Netwrk'"):
        engine.Netwrk  # noqa: B018


def test_a_picture_of_another_size_is_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"reads images of N × 1 × 48 × 48, not 1 × 1 × 9 × 9"):
        engine.predict(engine.shipped_model("default"), np.zeros((1, 1, 9, 9), np.float32))


def test_a_network_and_a_prediction_show_themselves_in_a_notebook() -> None:
    model = engine.shipped_model("default")
    table = model.network._repr_html_()
    assert all(f">{name}<" in table for name in model.network.names)
    (prediction,) = engine.predict(model, np.full((1, 1, 48, 48), -1, np.float32))
    assert "unsure" in prediction._repr_html_()


def test_lists_are_taken_where_tuples_are_meant() -> None:
    layers = [engine.Flatten(), engine.Residual([engine.ReLU()]), engine.Dense(2)]
    network = engine.Network([1, 4, 4], layers, ["cross", "circle"])
    assert network == engine.Network(
        (1, 4, 4), (engine.Flatten(), engine.Residual((engine.ReLU(),)), engine.Dense(2)), ("cross", "circle")
    )
    assert hash(network) is not None
