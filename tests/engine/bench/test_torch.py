"""PyTorch beside the engine, where it is installed: both compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: it is compared with only where it is")

from engine.backends import choose_backend  # noqa: E402
from engine.bench import contender as engine_contender  # noqa: E402
from engine.bench import large_picture, torch_contender  # noqa: E402
from engine.bench.cases import (  # noqa: E402  # noqa: E402
    DEFAULT,
    LAYER_CASES,
    TINY,
    BenchNet,
    hanuschkin_net,
    network_around,
    random_parameters,
)
from engine.bench.contender import BenchError, check_contenders  # noqa: E402
from engine.bench.suite import SAME_MAPS, SAME_STEP  # noqa: E402
from engine.bench.torch_contender import TorchNetwork  # noqa: E402
from engine.nn import Plan  # noqa: E402
from engine.nn.layers import AvgPool2D, Layer  # noqa: E402

CPU = choose_backend("cpu")
# Small batches, so that the comparison is fast.
NETS = [TINY, DEFAULT, replace(hanuschkin_net(), config=replace(hanuschkin_net().config, batch=2))]


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_every_mode_makes_the_engines_maps_and_moves(net: BenchNet) -> None:
    for work, make, tolerance in (
        ("live", engine_contender.live_contender, SAME_MAPS),
        ("train", engine_contender.train_contender, SAME_STEP),
    ):
        engine, _ = make(net, CPU)
        entries = torch_contender.cpu_contenders(work, net)
        found, notes = check_contenders(engine, entries, tolerance)
        assert notes == []
        assert [contender.family for contender in found] == ["engine"] + ["pytorch"] * len(entries)
        assert len(entries) == 2 * len(torch_contender.thread_counts())


def test_a_step_that_forgets_l2_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    net = replace(TINY, config=replace(TINY.config, l2=0.5))
    engine, _ = engine_contender.train_contender(net, CPU)
    entries = torch_contender.cpu_contenders("train", net)
    assert len(check_contenders(engine, entries, SAME_STEP)[0]) == 1 + len(entries)
    engine, _ = engine_contender.train_contender(replace(net, config=TINY.config), CPU)
    with pytest.raises(BenchError, match="computes something else"):
        check_contenders(engine, entries, SAME_STEP)


def test_the_photograph_is_the_same() -> None:
    sides = (30, 41)
    entries = torch_contender.photo_contenders(
        "cpu", large_picture.make_photograph(*sides), large_picture.PHOTO_LAYERS, large_picture.photo_parameters()
    )
    found, notes = check_contenders(large_picture.band_contender(CPU, sides), entries, SAME_MAPS)
    assert (len(found), notes) == (1 + len(entries), [])


def test_every_layer_that_has_a_counterpart_gives_the_same() -> None:
    for layer, shape in LAYER_CASES:
        network = network_around(layer, shape)
        # PyTorch leaves windows that start beyond the edge out of an average, and refuses some of them.
        if type(layer).in_torch is Layer.in_torch or (isinstance(layer, AvgPool2D) and layer.stride > layer.size):
            continue
        rng = np.random.default_rng(5)
        values = {name: array.astype(np.float32) for name, array in random_parameters(network, rng).items()}
        images = rng.normal(0, 1, (2, *network.input_shape)).astype(np.float32)
        plan = Plan(network, CPU, 2, keep_outputs=True)
        plan.load(values)
        plan.forward(images)
        given = TorchNetwork(network, values).outputs(torch.from_numpy(images))
        for mine, other in zip(plan.outputs()[1:], given, strict=True):
            np.testing.assert_allclose(other.detach().numpy(), mine, rtol=1e-4, atol=1e-5, err_msg=str(layer))


def test_a_layer_without_a_counterpart_is_named() -> None:
    layer, shape = next(case for case in LAYER_CASES if type(case[0]).__name__ == "Votes")
    network = network_around(layer, shape)
    with pytest.raises(BenchError, match="does not support Votes"):
        TorchNetwork(network, network.initial_parameters(1))
