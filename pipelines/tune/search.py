"""A search in progress: which trial comes next, how each is doing, in the output and in MLflow. Knows no Ray."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from pipelines.mlflow_runs import runs
from pipelines.search.samplers import make_sampler
from pipelines.search.space import trial_config, trial_count
from pipelines.tune import ledger
from pipelines.tune.ledger import TrialRecord
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import RunFailed, UserError


class Listener(Protocol):
    """Who hears how a search goes."""

    def began(self, trial: TrialRecord) -> None:
        """A trial begins, or goes on after the search was interrupted."""
        ...

    def epoch(self, trial: TrialRecord) -> None:
        """A trial has ended an epoch."""
        ...

    def exploited(self, trial: TrialRecord) -> None:
        """A trial goes on from another one's weights, with other values."""
        ...

    def failed(self, trial: TrialRecord, reason: str) -> None:
        """A trial has failed and is tried again."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """A trial is finished, stopped, or has failed for good."""
        ...


class Search:
    """Keeps the output's ledger, MLflow's runs and the sampler at one.

    Args:
        config: The job.
        space: What is searched.
        run: The search's MLflow run; each trial gets one within it.
        listener: Hears how it goes.

    Attributes:
        failure: Why the output could not be kept, which ends the search; None while it can.
    """

    def __init__(self, config: TuneConfig, space: Space, run: runs.Run, listener: Listener) -> None:
        self.config, self.space = config, space
        self.failure: RunFailed | None = None
        self._run, self._listener = run, listener
        self.records = {record.number: record for record in ledger.read_trials(config.output)}
        # Those that were interrupted or failed for no fault of their own come first.
        self._waiting = [number for number, record in self.records.items() if not record.ended]
        self._waiting += [n for n in range(1, trial_count(config, space) + 1) if n not in self.records]
        self._sampler = make_sampler(config, space, len(self.records))
        for record in self.records.values():
            if record.ended:
                self._tell(record)
        self._runs: dict[int, runs.Run] = {}
        self._began: dict[int, float] = {}
        # Epochs that an earlier part of the search has told MLflow of.
        self._logged: dict[int, float] = {}

    @property
    def waiting(self) -> list[int]:
        """Trials that have yet to begin, or to go on."""
        return list(self._waiting)

    @property
    def running(self) -> list[TrialRecord]:
        """Trials that have begun and not ended."""
        return [self.records[number] for number in self._began]

    def begin(self) -> TrialRecord:
        """Begin the next trial; it has failed already if its values do not go together."""
        number = self._waiting.pop(0)
        before = self.records.get(number)
        parameters = before.parameters if before else self._sampler.propose(number)
        folder, mistake = ledger.trial_folder(self.config.output, number), None
        try:
            settings = trial_config(self.config, parameters, folder).model_dump(mode="json")
        except UserError as error:
            settings, mistake = parameters, str(error)
        tags = {"raylift.job": "train", "raylift.trial": ledger.trial_name(number)}
        run = self._run.child(f"trial {ledger.trial_name(number)}", settings, tags, before and before.run_id)
        record = TrialRecord(number, run.run_id, parameters)
        if before is not None:
            record = replace(record, seconds=before.seconds, exploited=before.exploited)
        self._runs[number] = run
        self._began[number] = time.monotonic() - record.seconds
        self._logged[number] = (before and run.last("epoch")) or 0
        self._keep(record)
        self._listener.began(record)
        if mistake is not None:
            self.fail(number, mistake, hopeless=True)
        return self.records[number]

    def epoch(self, number: int, epoch: int, score_mm: float, metrics: Mapping[str, Any]) -> None:
        """A trial tells of an epoch; after an interruption it repeats those before."""
        record = self.records[number]
        self.records[number] = replace(record, scores_mm=record.scores_mm | {epoch: score_mm})
        if epoch > self._logged[number]:
            self._runs[number].log_metrics(metrics, step=epoch)
            self._logged[number] = epoch
        self._listener.epoch(self.records[number])

    def exploited(self, number: int, source: str, parameters: Mapping[str, Any]) -> None:
        """A trial goes on from another's weights, with other values."""
        record = self.records[number]
        changed = replace(record, parameters=dict(parameters), exploited=(*record.exploited, source))
        self._runs[number].log_tags({"raylift.exploited": ", ".join(changed.exploited)})
        self._keep(changed)
        self._listener.exploited(changed)

    def retry(self, number: int, reason: str) -> None:
        """A trial has failed and is tried again."""
        self._listener.failed(self.records[number], reason)

    def finish(self, number: int, report: Mapping[str, Any]) -> None:
        """A trial has trained to its last epoch; `report` is its training's."""
        best, best_mm = report["best_epoch"], report["best_validation_mpjpe_mm"]
        scores_mm = self.records[number].scores_mm | {best: best_mm}
        self._runs[number].log_json(report, "report.json")
        self._runs[number].log_tags({"raylift.data": report["data"], "raylift.state": "finished"})
        self._end(number, "FINISHED", state="finished", scores_mm=scores_mm, best_epoch=best)
        with self._output():
            ledger.remove_checkpoints(self.config.output, number)

    def stop(self, number: int) -> None:
        """The scheduler has stopped a trial."""
        reason = f"by {self.config.scheduler} after epoch {max(self.records[number].scores_mm)}"
        self._runs[number].log_tags({"raylift.state": "stopped", "raylift.reason": reason})
        self._end(number, "FINISHED", state="stopped", reason=reason)

    def fail(self, number: int, reason: str, hopeless: bool) -> None:
        """A trial has failed for good, or for this run of the search."""
        self._runs[number].log_tags({"raylift.state": "failed", "raylift.reason": reason})
        self._end(number, "FAILED", state="failed", reason=reason, hopeless=hopeless)

    def interrupt(self) -> None:
        """The search ends before its trials do."""
        for number in self._began:
            self._runs[number].end("KILLED")

    def _end(self, number: int, status: Any, **changes: Any) -> None:
        seconds = time.monotonic() - self._began.pop(number)
        record = replace(self.records[number], seconds=seconds, **changes)
        self._runs.pop(number).end(status)
        self._keep(record)
        self._tell(record)
        self._listener.ended(record)

    def _keep(self, record: TrialRecord) -> None:
        self.records[record.number] = record
        with self._output():
            ledger.write_trial(self.config.output, record)

    @contextmanager
    def _output(self) -> Iterator[None]:
        """Note why the output cannot be kept: Ray Tune makes text of what is raised while it runs."""
        try:
            yield
        except RunFailed as error:
            self.failure = error
            raise

    def _tell(self, record: TrialRecord) -> None:
        assert record.state != "running"
        self._sampler.tell(record.number, record.parameters, record.state, record.scores_mm)
