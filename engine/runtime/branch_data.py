"""The examples of all branches of a training run, and the trainers and replays on them."""

from __future__ import annotations

from functools import partial
from typing import Final

from engine.backends import Backend
from engine.data import Dataset, ExamplePool, PoolCache, TrainingData
from engine.nn import Network, Parameters, RunPoint
from engine.training import (
    BranchOrigin,
    Checkpoint,
    History,
    Replay,
    Trainer,
    TrainingConfig,
    adapt_checkpoint,
    training_sample,
)

SLICE_SECONDS: Final = 0.010  # seconds of a slice of a step or evaluation


class BranchData:
    """The examples of all branches, and the trainers on them.

    backend: of new trainers. origins: of every branch, by number.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend, self.origins = backend, list[BranchOrigin]()
        self._pools = PoolCache()
        self._requested: TrainingData | None = None

    def set_current(self, data: TrainingData) -> None:
        """Set the training data of the current or next branch, before anything else is asked for."""
        self._requested = data

    @property
    def _current(self) -> TrainingData:
        assert self._requested is not None
        return self._requested

    def retain_current(self) -> None:
        """Keep the examples of the current branch only."""
        self._pools.retain(self._current)

    @property
    def current(self) -> ExamplePool:
        """The examples of the current branch, which may not be complete yet."""
        return self._pools.get(self._current)

    def of_branch(self, branch: int) -> ExamplePool:
        """The examples of a branch; those of the current one if it does not exist yet."""
        known = 0 <= branch < len(self.origins)
        return self._pools.get(self.origins[branch].training_data) if known else self.current

    def grow(self, parent: int | None) -> bool:
        """Generate examples of the current branch, then of its parent; True once all are complete."""
        for pool in [self.current] if parent is None else [self.current, self.of_branch(parent)]:
            if pool.progress < 1:
                pool.generate_next()
                return False
        return True

    def trainer(
        self,
        network: Network,
        config: TrainingConfig,
        checkpoint: Checkpoint | None = None,
        values: Parameters | None = None,
    ) -> Trainer:
        """A trainer on the examples of the current branch.

        The optimizer state of the checkpoint is dropped if it belongs to another optimizer.
        """
        pool = self.current
        # Examples of which every epoch has new ones are learnt no better than those held out.
        sample = None if pool.settings.fresh else training_sample(pool.training)
        return self._trainer(network, config, checkpoint, self._current, values, sample)

    def _trainer(
        self,
        network: Network,
        config: TrainingConfig,
        checkpoint: Checkpoint | None,
        training_data: TrainingData,
        values: Parameters | None = None,
        sample: Dataset | None = None,
    ) -> Trainer:
        pool = self._pools.get(training_data)
        return Trainer(
            network,
            pool.source,
            config,
            self.backend,
            values,
            pool.held_out,
            None if checkpoint is None else adapt_checkpoint(checkpoint, config),
            slice_seconds=SLICE_SECONDS,
            training_sample=sample,
        )

    def replay(self, history: History, target: RunPoint, before: RunPoint | None = None) -> Replay:
        """The Replay to a point, on the examples of its branch."""
        start = history.nearest_keyframe(before or target)[0]
        data, network = self.origins[start.branch].training_data, history.network_at(start)
        self._pools.retain(self._current, data)
        return Replay(history, target, partial(self._trainer, network, training_data=data), before)
