"""The state of a running search, kept alike in the output, in MLflow and in the sampler. Independent of Ray."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

from pipelines.mlflow_runs import runs
from pipelines.search.optuna_study import Ending
from pipelines.search.samplers import Sampler
from pipelines.search.space import trial_config, trial_count
from pipelines.tune import trial_records
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.search_space import Space
from schemas.configs.tune import TuneConfig
from schemas.errors import RunFailed, UserError


class SearchListener(Protocol):
    """Follows the progress of a search."""

    def began(self, trial: TrialRecord) -> None:
        """A trial starts, or continues after the search was interrupted."""
        ...

    def epoch(self, trial: TrialRecord) -> None:
        """A trial has ended an epoch."""
        ...

    def exploited(self, trial: TrialRecord) -> None:
        """A trial continues from the weights of another one, with changed values."""
        ...

    def failed(self, trial: TrialRecord, reason: str) -> None:
        """A trial has failed and is retried."""
        ...

    def ended(self, trial: TrialRecord) -> None:
        """A trial is finished, stopped, or has failed for good."""
        ...


class Search:
    """Records what happens to trials in the output, in MLflow and in the sampler.

    Args:
        config: The job.
        space: What is searched.
        run: The search's MLflow run, of which each trial gets a child run.
        listener: Follows the progress.

    Attributes:
        run: The search's MLflow run.
        failure: Why the output could not be written, which ends the search; None otherwise.
    """

    def __init__(self, config: TuneConfig, space: Space, run: runs.Run, listener: SearchListener) -> None:
        self.config, self.space = config, space
        self.failure: RunFailed | None = None
        self.run, self._listener = run, listener
        self.records = {record.number: record for record in trial_records.read_trials(config.output)}
        # Trials that were interrupted, or that lost their processes, come before new ones.
        self._waiting = [number for number, record in self.records.items() if not record.ended]
        self._waiting += [n for n in range(1, trial_count(config, space) + 1) if n not in self.records]
        self._sampler = Sampler(config, space)
        for record in self.records.values():
            if record.ended:
                self._tell(record)
            else:
                self._sampler.resume(record.number, record.parameters)
        self._runs: dict[int, runs.Run] = {}
        self._started_at: dict[int, float] = {}

    @property
    def waiting(self) -> list[int]:
        """Numbers of the trials that have to start or to continue."""
        return list(self._waiting)

    @property
    def running(self) -> list[TrialRecord]:
        """The running trials."""
        return [self.records[number] for number in self._started_at]

    def begin(self) -> TrialRecord:
        """Start the next trial. If its values do not go together, it has failed when this returns."""
        number = self._waiting.pop(0)
        before = self.records.get(number)
        parameters = before.parameters if before else self._sampler.propose(number)
        folder, mistake, warmup = trial_records.trial_folder(self.config.output, number), None, 0
        try:
            training = trial_config(self.config, parameters, folder)
            settings, warmup = training.model_dump(mode="json"), training.warmup_epochs
        except UserError as error:
            settings, mistake = parameters, str(error)
        tags = {"raylift.job": "train", "raylift.trial": trial_records.trial_name(number)}
        run = self.run.child(f"trial {trial_records.trial_name(number)}", settings, tags, before and before.run_id)
        record = TrialRecord(number, run.run_id, parameters, warmup_epochs=warmup)
        if before is not None:
            record = replace(record, seconds=before.seconds, exploited=before.exploited)
        self._runs[number] = run
        self._started_at[number] = time.monotonic() - record.seconds
        self._write(record)
        self._listener.began(record)
        if mistake is not None:
            self.fail(number, mistake, hopeless=True)
        return self.records[number]

    def epoch(self, number: int, epoch: int, score_mm: float, metrics: Mapping[str, Any]) -> None:
        """A trial has ended an epoch; after an interruption it reports the earlier ones again, which MLflow has."""
        record = self.records[number]
        self.records[number] = replace(record, scores_mm=record.scores_mm | {epoch: score_mm})
        self._runs[number].log_metrics(metrics, step=epoch)
        self._listener.epoch(self.records[number])

    def exploited(self, number: int, source: str, parameters: Mapping[str, Any]) -> None:
        """A trial goes on from another's weights, with other values."""
        record = self.records[number]
        changed = replace(record, parameters=dict(parameters), exploited=(*record.exploited, source))
        self._runs[number].log_tags({"raylift.exploited": ", ".join(changed.exploited)})
        self._write(changed)
        self._listener.exploited(changed)

    def retry(self, number: int, reason: str) -> None:
        """A trial has failed and is retried."""
        self._listener.failed(self.records[number], reason)

    def finish(self, number: int, report: Mapping[str, Any]) -> None:
        """A trial has trained to its last epoch; `report` is its training's."""
        best, best_mm = report["best_epoch"], report["best_validation_mpjpe_mm"]
        scores_mm = self.records[number].scores_mm | {best: best_mm}
        self._runs[number].log_json(report, "report.json")
        self._runs[number].log_tags({"raylift.data": report["data"], "raylift.state": "finished"})
        self._end(number, "FINISHED", state="finished", scores_mm=scores_mm, best_epoch=best)
        with self._keep_failure():
            trial_records.remove_checkpoints(self.config.output, number)

    def stop(self, number: int) -> None:
        """The scheduler has stopped a trial."""
        reason = f"by {self.config.scheduler} after epoch {max(self.records[number].scores_mm)}"
        self._runs[number].log_tags({"raylift.state": "stopped", "raylift.reason": reason})
        self._end(number, "FINISHED", state="stopped", reason=reason)

    def fail(self, number: int, reason: str, hopeless: bool) -> None:
        """A trial has failed and is not retried, in this run of the search or (`hopeless`) ever."""
        self._runs[number].log_tags({"raylift.state": "failed", "raylift.reason": reason})
        self._end(number, "FAILED", state="failed", reason=reason, hopeless=hopeless)

    def interrupt(self) -> None:
        """The search ends before its trials have ended."""
        for number in self._started_at:
            self._runs[number].end("KILLED")

    def note_run_ids(self) -> None:
        """Note the MLflow runs of trials that began and ended while the server was away, if it is back."""
        self.run.queue.settle(runs.LONGEST_START_S)
        for number, run in self._runs.items():
            if run.run_id != self.records[number].run_id:
                self._write(replace(self.records[number], run_id=run.run_id))

    def _end(self, number: int, status: Any, **changes: Any) -> None:
        seconds = time.monotonic() - self._started_at.pop(number)
        run = self._runs[number]
        record = replace(self.records[number], seconds=seconds, run_id=run.run_id, **changes)
        run.end(status)
        self._write(record)
        self._tell(record)
        self._listener.ended(record)

    def _write(self, record: TrialRecord) -> None:
        self.records[record.number] = record
        with self._keep_failure():
            trial_records.write_trial(self.config.output, record)

    @contextmanager
    def _keep_failure(self) -> Iterator[None]:
        """Keep the error of a failed write in `failure`, because Ray Tune turns exceptions of callbacks into text."""
        try:
            yield
        except RunFailed as error:
            self.failure = error
            raise

    def _tell(self, record: TrialRecord) -> None:
        assert record.state != "running"
        state = "infeasible" if record.hopeless else record.state
        self._sampler.tell(record.number, record.parameters, Ending(state, record.counted_mm))
