"""Plan: what it refuses, shares and keeps. The arithmetic of its layers is tested in test_layers.py."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine.backends import choose_backend
from engine.bench.cases import random_parameters
from engine.nn import Network, Plan
from engine.nn.layers import Conv2D, Dense, Flatten, MaxPool2D, ReLU, ShapeError
from tests.engine import reference
from tests.engine.random_networks import random_network

CPU = choose_backend("cpu")
NETWORK = Network(
    (1, 5, 6), (Conv2D(2, 3, padding=1), ReLU(), MaxPool2D(), Flatten(), Dense(2)), classes=("X", "O")
)


def made(network: Network, batch: int, values: dict[str, np.ndarray], **options: object) -> Plan:
    plan = Plan(network, CPU, batch, **{"dtype": np.float64} | options)
    plan.load(values)
    return plan


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_equal_their_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network, batch = random_network(rng), int(rng.integers(1, 6))
    values, training = random_parameters(network, rng), bool(rng.integers(2))
    # Integers, for ties; Fortran order, since an input may have any memory layout.
    images = np.asfortranarray(np.round(rng.normal(0, 1.5, (batch, *network.input_shape))))
    circumstances = reference.PassMode(training, seed=seed, step=seed * 3, first=seed % 7)
    expected = reference.network_outputs(network, values, images, circumstances)
    for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 1e-4)):
        plan = made(network, batch, values, keep_outputs=True, dtype=dtype, training=training, seed=seed)
        plan.rng_counter[...] = circumstances.step, circumstances.first
        plan.forward(images.astype(dtype))
        for got, wanted in zip(plan.outputs(), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("seed", range(60))
def test_gradients_of_random_networks_equal_the_central_difference_and_follow_the_sum_over_pictures(
    seed: int,
) -> None:
    rng = np.random.default_rng(2000 + seed)  # none of these seeds draws a value within a step of a kink
    network, batch = random_network(rng), int(rng.integers(1, 6))
    values, shares, training = random_parameters(network, rng), rng.dirichlet([1, 1], batch), bool(rng.integers(2))
    images = rng.normal(0, 1, (batch, *network.input_shape))
    plan = made(network, batch, values, learn=True, input_gradient=True, training=training)
    plan.forward(images)
    plan.backward(shares)
    gradients = plan.parameter_gradients() | {"input": plan.input_gradient()}

    if not (training and any(layer.traits.uses_batch_statistics for layer in network.layers)):
        vectors = (plan.parameter_vector, plan.buffer_vector)
        shared = {"shared_parameters": vectors, "total_examples": batch, "training": training}
        single = Plan(
            network, CPU, 1, dtype=np.float64, keep_outputs=True, learn=True, input_gradient=True, **shared
        )
        total = np.zeros_like(plan.gradient_vector)
        for place in range(batch):
            single.rng_counter[1] = place
            single.forward(images[place : place + 1])
            single.backward(shares[place : place + 1])
            total += single.gradient_vector
            np.testing.assert_allclose(single.input_gradient()[0], gradients["input"][place], rtol=1e-8, atol=1e-10)
            assert single.host_losses[0] == pytest.approx(plan.host_losses[place], rel=1e-9)
        np.testing.assert_allclose(total, plan.gradient_vector, rtol=1e-8, atol=1e-10)

    step, along = 1e-7, {name: rng.normal(0, 1, gradient.shape) for name, gradient in gradients.items()}
    errors = []
    for nudge in (step, -step):
        moved = {name: values[name] + nudge * change for name, change in along.items() if name != "input"}
        plan.load(values | moved)
        plan.forward(images + nudge * along["input"])
        plan.backward(shares)
        errors.append(plan.host_losses.mean())
    slope = sum((gradient * along[name]).sum() for name, gradient in gradients.items())
    assert (errors[0] - errors[1]) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_a_plan_that_shares_reads_the_other_s_parameters_as_they_change() -> None:
    values = NETWORK.initial_parameters(1)
    plan = made(NETWORK, 2, values)
    sharing = Plan(NETWORK, CPU, 1, dtype=np.float64, shared_parameters=(plan.parameter_vector, plan.buffer_vector))
    image = np.random.default_rng(1).normal(0, 1, (1, 1, 5, 6))
    before = sharing.forward(image).copy()
    plan.load(NETWORK.initial_parameters(2))
    after = sharing.forward(image).copy()
    assert not np.allclose(before, after)
    np.testing.assert_allclose(after[:, 0], plan.forward(np.repeat(image, 2, 0))[:, 1], atol=1e-12)


def test_outputs_and_parameters_are_copies() -> None:
    plan = made(NETWORK, 1, NETWORK.initial_parameters(1), keep_outputs=True)
    plan.forward(np.ones((1, 1, 5, 6)))
    outputs, parameters = plan.outputs(), plan.parameters()
    kept = [array.copy() for array in (*outputs, *parameters.values())]
    plan.load(NETWORK.initial_parameters(2))
    plan.forward(np.zeros((1, 1, 5, 6)))
    for now, then in zip((*outputs, *parameters.values()), kept, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_time_of_every_layer_is_told() -> None:
    plan = made(NETWORK, 1, NETWORK.initial_parameters(1), keep_outputs=True)
    seconds = plan.forward_timed(np.ones((1, 1, 5, 6)))
    assert len(seconds) == len(NETWORK.layers)
    assert min(seconds) >= 0
    np.testing.assert_array_equal(plan.outputs()[0], np.ones((1, 1, 5, 6)))


def test_a_batch_of_another_shape_is_named() -> None:
    with pytest.raises(ShapeError, match=r"needs pictures 2 × 1 × 5 × 6, but got 1 × 1 × 5 × 6\.$"):
        made(NETWORK, 2, NETWORK.initial_parameters(1)).forward(np.ones((1, 1, 5, 6)))


def test_the_error_of_scores_far_apart_stays_finite() -> None:
    """Exponentials alone would overflow: -log of softmax is the distance itself here."""
    network = Network((1, 1, 1), (Flatten(), Dense(2)), classes=("X", "O"))
    values = {"dense-1.weight": np.zeros((2, 1)), "dense-1.bias": np.array([1000.0, -1000.0])}
    plan = made(network, 1, values, learn=True)
    plan.forward(np.zeros((1, 1, 1, 1)))
    plan.backward(np.array([[0.0, 1.0]]))
    assert plan.host_losses.tolist() == [2000]
    np.testing.assert_array_equal(plan.parameter_gradients()["dense-1.bias"], [1, -1])


def test_parameters_of_another_network_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"no parameter dense-2.weight\.$"):
        made(NETWORK, 1, NETWORK.initial_parameters(1) | {"dense-2.weight": np.zeros((2, 2))})


def test_a_plan_that_keeps_nothing_joins_convolution_and_pool_and_cuts_at_0_on_fewer_values() -> None:
    """The results are equal (test_layers.py); this is the saving."""
    plain, quick = (made(NETWORK, 1, NETWORK.initial_parameters(1), keep_outputs=keep) for keep in (True, False))
    assert [stage.y.shape[:-1] for stage in plain.layer_arrays] == list(NETWORK.shapes[1:])
    assert [stage.y.shape[:-1] for stage in quick.layer_arrays][:2] == [(2, 3, 3), (2, 3, 3)]


def test_what_a_plan_was_not_made_for_is_refused() -> None:
    plan = made(NETWORK, 1, NETWORK.initial_parameters(1))
    plan.forward(np.ones((1, 1, 5, 6)))
    with pytest.raises(ValueError, match=r"keep_outputs=True .*\.$"):
        plan.outputs()
    with pytest.raises(ValueError, match=r"learn=True .*\.$"):
        plan.backward(np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"learn=True .*\.$"):
        _ = plan.host_losses
    with pytest.raises(ValueError, match=r"input_gradient=True .*\.$"):
        made(NETWORK, 1, NETWORK.initial_parameters(1), learn=True).input_gradient()


@pytest.mark.parametrize("dtype", [int, complex, np.float16, np.int8, bool, object, str, "float128", "banana", 7])
def test_a_plan_in_another_dtype_is_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match=r"^A plan computes in float32 or float64, not .*\.$"):
        Plan(NETWORK, CPU, 1, dtype=dtype)


@pytest.mark.parametrize("batch", [0, -1, True, 1.5, None])
def test_a_batch_that_is_none_is_refused(batch: object) -> None:
    with pytest.raises(ValueError, match=r"^A plan's batch must be a whole number of pictures, .*\.$"):
        Plan(NETWORK, CPU, batch)  # type: ignore[arg-type]


def test_a_batch_that_no_machine_could_hold_is_refused_before_memory_is_taken() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(
            ValueError, match=r"^A batch of 1,000,000,000 pictures .* 16 GiB; .* can process \S+, .*\.$"
        ):
            Plan(NETWORK, CPU, 10**9)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [complex, "U3", "S3", object, "datetime64[s]", "V8"])
def test_pictures_that_are_no_real_numbers_are_refused(kind: object) -> None:
    with pytest.raises(ValueError, match=r"^This plan needs pictures of real numbers, but got .*\.$"):
        made(NETWORK, 1, NETWORK.initial_parameters(1)).forward(np.zeros((1, 1, 5, 6), kind))


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.float16, np.float32, bool])
def test_pictures_of_other_real_numbers_are_read_as_they_are(kind: type) -> None:
    picture = np.random.default_rng(1).integers(0, 2, (1, 1, 5, 6))
    plan = made(NETWORK, 1, NETWORK.initial_parameters(1))
    expected = plan.forward(picture.astype(float)).copy()
    np.testing.assert_array_equal(plan.forward(picture.astype(kind)), expected)


def test_a_layer_that_is_not_there_cannot_be_frozen() -> None:
    with pytest.raises(ValueError, match=r"^The network has no layer called conv2d-2 .* are conv2d-1, .*\.$"):
        Plan(NETWORK, CPU, 1, frozen=("conv2d-2",))


def test_the_memory_of_another_network_s_plan_is_refused() -> None:
    plan = made(NETWORK, 1, NETWORK.initial_parameters(1))
    other = Network((1, 5, 6), (Flatten(), Dense(2)), classes=("X", "O"))
    with pytest.raises(ShapeError, match=r"^The shared parameters belong to a plan of another network\.$"):
        Plan(other, CPU, 1, shared_parameters=(plan.parameter_vector, plan.buffer_vector))
