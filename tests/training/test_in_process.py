"""A training whose only worker is in the process of its job."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines.training import checkpoints
from pipelines.training.checkpoints import Best
from pipelines.training.events import Control, Outcome
from pipelines.training.failures import DeterministicFailure
from pipelines.training.in_process import fit_in_process
from pipelines.training.reports import EpochReport, OnStep, StepReport
from pipelines.training.worker import run_worker
from schemas.configs.resources import ResourcesConfig
from schemas.errors import RunFailed, UserError


class CountingTraining:
    """Each epoch adds its number to a sum, which is all of its state; `fail` may raise in an epoch."""

    def __init__(self, fail: Callable[[int], None] = lambda epoch: None) -> None:
        self.history: list[EpochReport] = []
        self.sum, self._fail = 0, fail

    def restore(self, state: dict[str, Any] | None) -> None:
        if state is not None:
            self.sum = state["sum"]
            self.history = [report(epoch) for epoch in range(1, state["epochs"] + 1)]

    def state(self) -> dict[str, Any]:
        return {"sum": self.sum, "epochs": len(self.history)}

    def run_epoch(self, on_step: OnStep) -> EpochReport:
        epoch = len(self.history) + 1
        self._fail(epoch)
        on_step(1, 1, 10.0)
        self.sum += epoch
        self.history.append(report(epoch))
        return self.history[-1]


def report(epoch: int) -> EpochReport:
    return EpochReport(epoch, {"total": 1.0}, 1e-3, 10, "frames", 1.0, 0.5, {"mpjpe_mm": 1.0 / epoch})


class Listener:
    """Keeps what it hears; `on_epoch` is called with each epoch."""

    def __init__(self, on_epoch: Callable[[int], None] = lambda epoch: None) -> None:
        self.begun, self.steps, self.epochs = [], 0, []
        self._on_epoch = on_epoch

    def started(self, epochs_done: int) -> None:
        self.begun.append(epochs_done)

    def step(self, report: StepReport) -> None:
        self.steps += 1

    def epoch(self, report: EpochReport) -> None:
        self.epochs.append(report.epoch)
        self._on_epoch(report.epoch)


def train(
    output: Path, training: CountingTraining, listener: Listener, control: Control | None = None, **more: Any
) -> Outcome:
    output.mkdir(exist_ok=True)

    def worker(settings: dict[str, Any]) -> None:
        write = partial(write_sum, training)
        run_worker(settings, 3, lambda workers: training, lambda _, folder: write(folder), lambda epoch: -epoch.epoch)

    best = Best("score", "min")
    return fit_in_process(worker, {}, str(output), ResourcesConfig(), best, listener, control=control, **more)


def write_sum(training: CountingTraining, folder: str) -> None:
    Path(folder, "sum.txt").write_text(str(training.sum))


def test_it_trains_reports_and_saves_to_the_last_epoch(tmp_path):
    listener = Listener()
    outcome = train(tmp_path, CountingTraining(), listener)
    assert [epoch.epoch for epoch in outcome.epochs] == listener.epochs == [1, 2, 3]
    assert (listener.begun, listener.steps) == ([0], 3)
    assert Path(checkpoints.find(str(tmp_path))[-1].folder, "sum.txt").read_text() == "6"


def test_a_stopped_training_continues_from_its_last_checkpoint(tmp_path):
    control = Control()
    train(tmp_path, CountingTraining(), Listener(lambda epoch: control.stop()), control)
    assert [saved.metrics["epoch"] for saved in checkpoints.find(str(tmp_path))] == [1]
    listener, training = Listener(), CountingTraining()
    outcome = train(tmp_path, training, listener)
    assert (listener.begun, training.sum) == ([1], 6)
    assert [epoch.epoch for epoch in outcome.epochs] == [1, 2, 3], "those of the interrupted run are reported again"


def raises(error: Exception) -> CountingTraining:
    def fail(epoch: int) -> None:
        if epoch == 2:
            raise error

    return CountingTraining(fail)


def test_what_would_fail_again_is_told_apart_from_what_may_succeed_at_another_try(tmp_path):
    with pytest.raises(DeterministicFailure, match=r"training: ZeroDivisionError: by zero \(test_in_process.py:"):
        train(tmp_path / "bug", raises(ZeroDivisionError("by zero")), Listener())
    with pytest.raises(UserError, match="tracks: are empty"):
        train(tmp_path / "mistake", raises(UserError("tracks: are empty")), Listener())
    with pytest.raises(RunFailed, match="training: the store is away") as lost:
        train(tmp_path / "lost", raises(ConnectionError("the store is away")), Listener())
    assert not isinstance(lost.value, DeterministicFailure)


def test_a_training_that_waits_goes_on_when_it_is_allowed(tmp_path):
    control = Control(1)
    listener = Listener(lambda epoch: control.allow(epoch + 1))
    assert len(train(tmp_path, CountingTraining(), listener, control).epochs) == 3


def test_who_wants_to_know_is_told_of_each_checkpoint_before_the_next_epoch(tmp_path):
    training, saved_epochs = CountingTraining(), []
    train(tmp_path, training, Listener(), on_saved=lambda epoch: saved_epochs.append((epoch, training.sum)))
    assert saved_epochs == [(1, 1), (2, 3), (3, 6)]
