"""The parts of `xo bench` that only a GPU has, on the stand-in for CuPy."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.backends import Backend, choose_backend
from engine.backends.cuda import (
    ProductShape,
    TileCosts,
    cheapest_tiling,
    estimate_microseconds,
    ranked_tilings,
    read_tile_costs,
    tile_costs_path,
)
from engine.bench import KINDS, BenchSuite, card_parts, suite, tiles
from engine.bench.cases import TINY
from engine.bench.contender import BenchError
from engine.bench.parity import parity
from engine.bench.tiles import TilingTime, excess, fit_tile_costs, tiles_results
from engine.cli.main import main
from tests.engine import fake_cupy
from tests.engine.backends.cuda.cpu_device import needs_compiler

ROOT = Path(__file__).parents[3]
SMALL = replace(TINY, config=replace(TINY.config, batch=4))
CARD, MEMORY_PART = "Make-believe GPU", "memory, tiny, a training step of 4"
CPU = choose_backend("cpu")


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A fake CuPy module, small nets, no other library, and a cache folder of its own."""
    module = fake_cupy.fake_cupy()
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(card_parts, "MEASURED_NETS", (SMALL,))
    monkeypatch.setattr(card_parts, "REPEATED_NET", SMALL)
    monkeypatch.setattr(tiles, "TILED_NETS", (SMALL,))
    monkeypatch.setattr(tiles, "SECONDS", 0.01)
    monkeypatch.setattr(tiles, "TILINGS", 3)
    monkeypatch.setattr(suite, "REFERENCE_NETS", (SMALL,))
    monkeypatch.setattr(suite.torch_contender, "torch_version", lambda: None)
    monkeypatch.setattr(suite.onnx_contender, "onnx_version", lambda: None)
    monkeypatch.setattr(suite, "measure_limits", lambda backend: suite.DeviceLimits(1e-6, 1e9, 1e9))
    monkeypatch.setattr(suite, "parity", lambda *sides: parity(*sides, [], [SMALL]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return module


@pytest.fixture
def child_has_fake_cupy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "child").mkdir()
    text = 'import sys\nfrom tests.engine.fake_cupy import fake_cupy\nsys.modules["cupy"] = fake_cupy()\n'
    (tmp_path / "child" / "cupy.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'child'}:{ROOT}")


def cells(table: str) -> dict[str, str]:
    """The results of a table in Markdown by their parts."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return dict(lines[2:])


@needs_compiler
@pytest.mark.usefixtures("cupy", "child_has_fake_cupy")
def test_one_command_prints_one_table_to_paste(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "live,train,parity,repeat,memory,drill,tiles"
    assert main(["bench", "--device", "gpu", "--seconds", "0.02", "--rows", rows]) == 0
    out = capsys.readouterr().out
    head, found = out.splitlines()[0], cells(out)
    assert f"{CARD} (test kernel ran), compute capability 8.6, 8 multiprocessors, 9 GB" in head
    assert "CUDA 12.4" in head
    assert found["parity with NumPy, outputs"].startswith("2 of 2 within the tolerance")
    assert found["two trainings, tiny, 96 steps"].startswith("the same bytes")
    assert re.fullmatch(r"said 0.0 MB, taken 0.0 MB; [1-9][\d,]* examples fit at a time", found[MEMORY_PART])
    assert "the processor predicts the same after" in found["fault drill"]
    assert "training goes on" in found["fault drill"]
    assert "reference work" in found["live tiny"]
    assert " the roofline" in found["train tiny"]
    assert "µs" in found["tiles, tiny conv2d-1 forward: chosen; fastest"]
    assert "longer than the fastest" in found["tiles, all"]


def test_a_part_that_cannot_run_says_so_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite, "REFERENCE_NETS", ())
    words = ["--rows", "memory,tiles,drill", "--device", "cpu"]
    monkeypatch.setattr(card_parts, "DRILL", (sys.executable, "-c", "raise SystemExit('no driver')"))
    assert main(["bench", *words]) == 1
    out, err = capsys.readouterr()
    assert "the process of the drill ended with code 1: no driver" in out
    assert [line for line in err.splitlines() if line.startswith("xo:")] == [
        "xo: memory was not measured: this part needs a GPU.",
        "xo: fault drill was not measured: the process of the drill ended with code 1: no driver.",
        "xo: tiles was not measured: this part needs a GPU.",
    ]


@needs_compiler
@pytest.mark.usefixtures("child_has_fake_cupy")
def test_the_drill_runs_beside_a_folder_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a library prints first is not taken for its result."""
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('another engine')\n")
    with (tmp_path / "child" / "cupy.py").open("a") as file:
        file.write("print('{} and a banner')\n")
    monkeypatch.chdir(tmp_path)
    (result,) = card_parts.drill_results()
    assert "training goes on" in result.result


@needs_compiler
@pytest.mark.usefixtures("cupy")
def test_a_lack_of_memory_ends_one_part_and_is_said(cupy: Any) -> None:
    backend = choose_backend("gpu")
    cupy.gpu.faults[cupy.gpu.calls + 1] = fake_cupy.NO_MEMORY
    report = BenchSuite(backend, {"repeat", "memory"}, 0.02, lambda _: None).report()
    first, *rest = report.parts
    assert (first.part, first.failed) == ("two trainings", True)
    assert "too little memory left" in first.result
    assert [part.failed for part in rest] == [False]


@pytest.mark.usefixtures("cupy")
def test_nothing_is_begun_after_the_time_is_over() -> None:
    """The clock shows the end of the time as soon as it is asked a second time."""
    times = iter([0.0, *[1e4] * 99])
    backend = replace(CPU, name="gpu", title="Slow GPU")
    report = BenchSuite(backend, KINDS, 0.02, lambda _: None, lambda: next(times)).report()
    assert (report.rows, report.curves, report.parity) == ((), (), ())
    assert {part.part for part in report.parts} >= {"parity", "memory", "fault drill", "photo", "tiles"}
    assert all(part.result.startswith("not begun: 5 minutes were over") for part in report.parts)
    assert not any(part.failed for part in report.parts)


@pytest.mark.usefixtures("cupy")
def test_parity_leaves_time_for_the_other_parts() -> None:
    """Every look at the clock is 50 s later; comparisons stop after two minutes, and what follows them begins."""
    backend, times = replace(CPU, name="gpu", title="Slow GPU"), iter(range(0, 10_000, 50))
    report = BenchSuite(backend, {"parity", "repeat"}, 0.02, lambda _: None, lambda: next(times)).report()
    stopped, repeated = report.parts
    assert stopped.result.startswith(f"stopped for time after {len(report.parity)} comparisons")
    assert 0 < len(report.parity) < 6
    assert repeated.result.startswith("the same bytes")


@needs_compiler
@pytest.mark.usefixtures("cupy")
def test_two_trainings_that_differ_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = iter("ab")
    monkeypatch.setattr(card_parts, "_trained_digest", lambda _: next(ends))
    with pytest.raises(BenchError, match="end at different bytes"):
        card_parts.repeat_results(CPU)


# -- tiles --------------------------------------------------------------------------------------------------------

PRODUCTS = [
    ProductShape(8, 65536, 25, (4, 4)),
    ProductShape(128, 65536, 1152, (4, 4)),
    ProductShape(16, 73, 16384, (4, 4)),
    ProductShape(64, 65536, 288, (4, 4)),
    ProductShape(32, 65536, 576, (4, 4)),
    ProductShape(12, 8192, 200, (4, 4)),
]
OTHER_CARD = TileCosts(clock=1200, step=2500, side=9, fetched=5, launch=6, partial_sums=6, last=160)


def timings(costs: TileCosts, processors: int) -> list[list[TilingTime]]:
    """What a card of these costs takes for some tilings of every product."""
    found = []
    for size in PRODUCTS:
        by_tile = {tiling.tile: tiling for tiling in ranked_tilings(size, 4, processors)[::-1]}
        found.append(
            [
                TilingTime(size, tiling, estimate_microseconds(tiling, size, 4, processors, costs))
                for tiling in by_tile.values()
            ]
        )
    return found


def test_costs_fitted_to_another_card_choose_faster_tiles_there() -> None:
    measured = timings(OTHER_CARD, 28)
    fitted = fit_tile_costs(measured, TileCosts(), 28)
    assert excess(measured, TileCosts(), 28) > 0.03
    assert excess(measured, fitted, 28) < 0.01
    assert excess(measured, OTHER_CARD, 28) == 0


@needs_compiler
@pytest.mark.usefixtures("cupy")
def test_what_was_measured_is_kept_by_the_name_of_the_card_and_used_at_the_next_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiles, "excess", lambda timings, costs, processors: costs != OTHER_CARD)
    monkeypatch.setattr(tiles, "fit_tile_costs", lambda *_: OTHER_CARD)
    results = tiles_results(choose_backend("gpu"), lambda _: None)
    path = tile_costs_path(CARD)
    assert path.name == "make-believe-gpu.json"
    assert str(path) in results[-1].result
    assert read_tile_costs(CARD, TileCosts()) == (OTHER_CARD, "")
    backend = choose_backend("gpu")
    assert backend.reason == "test kernel ran"
    chosen = [chosen_by(backend, size) for size in PRODUCTS]
    assert chosen == [cheapest_tiling(8, OTHER_CARD)(size, 4) for size in PRODUCTS]
    assert chosen != [cheapest_tiling(8)(size, 4) for size in PRODUCTS]


@needs_compiler
@pytest.mark.usefixtures("cupy")
def test_costs_that_would_choose_slower_tiles_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "fit_tile_costs", lambda timings, start, processors: start)
    results = tiles_results(choose_backend("gpu"), lambda _: None)
    assert "the costs stay" in results[-1].result
    assert not tile_costs_path(CARD).exists()


def stored(**changed: Any) -> bytes:
    whole: dict[str, Any] = {"card": CARD, "costs": msgspec.to_builtins(OTHER_CARD) | changed}
    return msgspec.json.encode(whole)


@needs_compiler
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "damaged"),
        (b"{", "damaged"),
        (stored(step=0), "damaged"),
        (stored(step=-5.0), "damaged"),
        (stored(step="fast"), "damaged"),
        (stored(clock=math.inf), "damaged"),
        (stored(unknown=1), "damaged"),
        (stored().replace(CARD.encode(), b"Another"), "of another card"),
    ],
)
def test_a_damaged_file_is_ignored_and_said(data: bytes, words: str) -> None:
    path = tile_costs_path(CARD)
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    backend = choose_backend("gpu")
    assert words in backend.reason
    assert "xo bench measures it anew" in backend.reason
    assert [chosen_by(backend, size) for size in PRODUCTS] == [
        chosen_by(default_backend(path), s) for s in PRODUCTS
    ]


def default_backend(path: Path) -> Backend:
    path.unlink(missing_ok=True)
    return choose_backend("gpu")


def chosen_by(backend: Backend, size: ProductShape) -> Any:
    operations: Any = backend.operations
    return operations._kernels.choose_tiling(size, 4)
