"""ThreadPair: two threads give the same bytes as one, raise errors, and leave no thread."""

from __future__ import annotations

import gc
import threading
import warnings

import numpy as np
import pytest

from engine.backends import choose_backend, one_blas_thread, replay
from engine.backends.numpy import threads
from engine.backends.numpy.threads import ThreadPair
from engine.documents import DEFAULT
from engine.training import SGD, TrainingConfig, TrainStep


def use_cores(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: count)


def worker_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("numpy-worker")]


def assert_thread_ends() -> None:
    gc.collect()
    for thread in worker_threads():
        thread.join(5)
    assert not worker_threads()


def trained() -> tuple[bytes, int]:
    """The parameters after three steps, and the number of worker threads meanwhile."""
    network, rng = DEFAULT.network, np.random.default_rng(1)
    stepper = TrainStep(
        network, choose_backend("cpu"), TrainingConfig(SGD(0.01), batch=64), network.initial_parameters(1)
    )
    images = rng.uniform(-1, 1, (64, *network.input_shape)).astype(np.float32)
    shares = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 64)]
    stepper.load_epoch(images, shares, np.tile(np.arange(64), (3, 1)), np.full(3, 0.01, np.float32))
    with one_blas_thread():
        for _ in range(3):
            stepper.run(64)
    return b"".join(values.tobytes() for values in stepper.parameters().values()), len(worker_threads())


def test_one_and_two_cores_train_the_same_bytes_and_leave_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cores(monkeypatch, 1)
    alone, threads_alone = trained()
    use_cores(monkeypatch, 2)
    shared, threads_shared = trained()
    assert alone == shared
    assert (threads_alone, threads_shared) == (0, 1)
    assert_thread_ends()


def test_the_worker_thread_ends_with_the_calls_that_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cores(monkeypatch, 2)
    made = ThreadPair()
    first, second = (made.in_parallel([[(int, (), {})], [(int, (), {})]]) for _ in range(2))
    replay(first)
    replay(second)
    assert len(worker_threads()) == 1  # both use the same
    del first, second
    assert_thread_ends()


def test_lists_of_calls_run_on_two_threads_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cores(monkeypatch, 2)
    meeting = threading.Barrier(2)
    calls = ThreadPair().in_parallel([[(meeting.wait, (5,), {})], [(meeting.wait, (5,), {})]])
    replay(calls)  # one after the other, the first would wait in vain
    assert not meeting.broken


def test_nested_parallel_calls_run_in_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    use_cores(monkeypatch, 2)
    made, done = ThreadPair(), []

    def inner(name: str) -> list:
        return made.in_parallel([[(done.append, (f"{name}1",), {})], [(done.append, (f"{name}2",), {})]])

    replay(made.in_parallel([inner("a"), inner("b")]))  # a worker that waited for itself would never end
    assert sorted(done) == ["a1", "a2", "b1", "b2"]
    assert done.index("a1") < done.index("a2")
    assert done.index("b1") < done.index("b2")


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_either_thread_is_raised_when_both_have_ended(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_cores(monkeypatch, 2)
    done = []

    def fail() -> None:
        raise ValueError("no such luck")

    lists = [[(done.append, (1,), {})], [(fail, (), {})]]
    calls = ThreadPair().in_parallel(lists if failing else lists[::-1])
    with pytest.raises(ValueError, match="no such luck"):
        replay(calls)
    assert done == [1]


def test_the_second_thread_inherits_errstate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_cores(monkeypatch, 2)
    large, out = np.full(1000, 3e38, np.float32), np.zeros((2, 1000), np.float32)
    calls = ThreadPair().in_parallel([[(np.add, (large, large, part), {})] for part in out])
    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("error")
        replay(calls)
    assert np.isinf(out).all()
