"""A trial: a training as the train job runs it, told of to Ray Tune epoch by epoch, and led by it."""

import json
import math
import time
from pathlib import Path
from typing import Any

from ray import tune

from pipelines.io import storage
from pipelines.search.space import trial_config
from pipelines.train import run
from pipelines.train.worker import SELECTION
from pipelines.training import checkpoints
from pipelines.training.checkpoints import CHECKPOINTS, STATE_FILE
from pipelines.training.reports import Diverged
from pipelines.tune import ledger
from pipelines.tune.population import hold, wait_for
from pipelines.tune.training import START_SUFFIX, TrialTraining, start_file
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

# What schedulers compare, at which time: the smallest error so far, which is what a trial is worth in the end, but
# where trials go on from each other the present one.
METRIC, TIME = SELECTION, "epoch"
# In a result: the error and the metrics of an epoch, the report of a training, why it failed for its own values, and
# what it goes on from if from another trial.
SCORE, METRICS, REPORT, HOPELESS, SOURCE = "score_mm", "metrics", "report", "hopeless", "source"
# In what a trial hands to Tune, beside its state.
ORIGIN = "origin.json"
SAVING_S = 60


class TrainingTrial(tune.Trainable):
    """What Tune runs; its id is the number of the trial, its config the values by dotted path."""

    def setup(self, config: dict[str, Any], **fixed: Any) -> None:
        """Prepare; training begins with the first step, after Tune has told what to go on from.

        Args:
            config: The values.
            **fixed: The same for all trials: `search`, the job, `data`, the digest of its tracks, and the
                `population` if trials go on from each other.
        """
        search: TuneConfig = fixed["search"]
        self._data: str = fixed["data"]
        self._parameters = dict(config)
        self._output = ledger.trial_folder(storage.absolute(search.output), int(self.trial_id))
        self._training: TrialTraining | None = None
        self._best_mm = math.inf
        self._population: Any = fixed["population"]
        # Trials that hand their state to each other wait for Tune after each epoch: it may take it then.
        self._waits = self._population is not None
        self._interval = search.pbt.interval_epochs
        self._config = trial_config(search, config, self._output)
        if self._waits:
            self._hold = hold(self._output)

    def step(self) -> dict[str, Any]:
        """Train an epoch."""
        try:
            if self._training is None:
                self._training = self._begin()
            epoch = self._training.next_epoch()
        # Its own values' fault, which no other try mends.
        except (UserError, Diverged) as error:
            return {TIME: 0, METRIC: float("nan"), HOPELESS: str(error), "done": True}
        if self._waits:
            # The last epoch after which trials are compared; the first one before all, or who starts first would be
            # done before others begin.
            compared = max(1, epoch.epoch - epoch.epoch % self._interval)
            wait_for(self._population, int(self.trial_id), epoch.epoch, compared)
        score_mm = epoch.validation["mpjpe_mm"]
        self._best_mm = min(score_mm, self._best_mm)
        told = {
            TIME: epoch.epoch,
            METRIC: score_mm if self._waits else self._best_mm,
            SCORE: score_mm,
            METRICS: epoch.metrics(),
            SOURCE: self._training.source,
        }
        report = self._training.report
        if report is None:
            return told
        self._remove_starts()
        return {**told, REPORT: report, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Hand the state after the last epoch told of to Tune, for others to go on from."""
        assert self._training is not None
        epoch = self._training.told
        deadline = time.monotonic() + SAVING_S
        while (state := _saved(self._config.output, epoch)) is None:
            assert time.monotonic() < deadline, "the training has not saved the epoch that it told of"
            time.sleep(0.1)
        Path(checkpoint_dir, STATE_FILE).write_bytes(state)
        origin = {"trial": self.trial_id, "epoch": epoch}
        Path(checkpoint_dir, ORIGIN).write_text(json.dumps(origin), encoding="utf-8")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from another trial's state; one's own lies in the output, and is never older."""
        origin = json.loads(Path(checkpoint, ORIGIN).read_text(encoding="utf-8"))
        exploited = {**origin, "parameters": self._parameters}
        # A try after a failure is told again what it had gone on from.
        if origin["trial"] == self.trial_id or ledger.read_exploited(self._output) == exploited:
            return
        # In this order: killed between any two, what remains is a trial with its old values or with its new ones.
        start = start_file(self._output, exploited)
        storage.write_bytes(start, Path(checkpoint, STATE_FILE).read_bytes())
        storage.remove_folder(storage.join(self._output, CHECKPOINTS))
        note = json.dumps(exploited, indent=2).encode()
        storage.write_bytes(storage.join(self._output, ledger.EXPLOITED), note)
        self._remove_starts(start)

    def _remove_starts(self, kept: str | None = None) -> None:
        for file in storage.list_folder(self._output, START_SUFFIX):
            if file != kept:
                storage.remove(file)

    def cleanup(self) -> None:
        """End the training: its workers leave before this process does."""
        if self._training is not None:
            self._training.stop()

    def _begin(self) -> TrialTraining:
        job = run.prepare(self._config)
        if job.plan.digest != self._data:
            raise UserError("the tracks have changed since the search was begun; search them in another output")
        record = ledger.read_trial(self._output)
        return TrialTraining(job, record.run_id, self._waits)


def _saved(output: str, epoch: int) -> bytes | None:
    """The state that a training saved after an epoch; None if it has not yet."""
    saved = [checkpoint for checkpoint in checkpoints.find(output) if checkpoint.metrics[TIME] == epoch]
    return storage.read_bytes(saved[0].file(STATE_FILE)) if saved else None
