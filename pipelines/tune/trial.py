"""A trial as Ray Tune runs it: each step is an epoch of a training.

A training of one worker runs in the trial's own process, which is reused for one trial after another. PyTorch is
imported by the first step. A process would be ready seconds later otherwise, and Ray Tune stops one that is not ready
when another one is free again, so that of trials that last a second only one would run at a time.
"""

import json
import logging
import math
import os
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from pipelines.io import storage
from pipelines.search.trial_values import trial_config
from pipelines.train import run
from pipelines.train.track_choice import SurveyedTracks, survey_tracks
from pipelines.training import checkpoints
from pipelines.training.checkpoints import CHECKPOINTS, STATE_FILE
from pipelines.tune import trial_records
from pipelines.tune.population import lock_trial, wait_for
from pipelines.tune.shared_warmup import warmup_file
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

if TYPE_CHECKING:
    from pipelines.tune.shared_tracks import SharedTracks
    from pipelines.tune.trial_training import TrialTraining

log = logging.getLogger(__name__)
# The number that schedulers compare, and the field that orders results in time. The number is the smallest error so
# far, which becomes a trial's result. Under population-based training it is the present error, because the present
# state is copied. Errors of the warm-up do not count.
METRIC, TIME = "selection_mm", "epoch"
# Fields of a result: the error and metrics of an epoch; the report of a finished training; why the values made it fail;
# the trial that it continues from.
SCORE, METRICS, REPORT, HOPELESS, SOURCE = "score_mm", "metrics", "report", "hopeless", "source"
# The file in a Tune checkpoint that names the trial and the epoch of the state beside it.
ORIGIN_FILE = "origin.json"
# Longest wait for the checkpoint of an epoch that has ended, s.
LONGEST_SAVE_S = 60


class TrainingTrial(tune.Trainable):
    """Tune's trainable. Its id is the number of the trial, its config holds the values by dotted path."""

    def setup(self, config: dict[str, Any], **fixed: Any) -> None:
        """Prepare. The training starts with the first step, after Tune has loaded a checkpoint if there is one.

        Args:
            config: The values by dotted path.
            **fixed: The same for all trials: `search`, the config; `run_id`, its MLflow run; `data`, the digest of the
                tracks; `population`, an actor, under population-based training; `shares_warmups`, whether trials
                continue from each other's warm-up; `track_sets`, the actor that keeps tracks for all of them.
        """
        self._search: TuneConfig = fixed["search"]
        self._data: str = fixed["data"]
        self._search_run_id: str = fixed["run_id"]
        self._population: Any = fixed["population"]
        self._shares_warmups: bool = fixed["shares_warmups"]
        self._track_sets: Any = fixed["track_sets"]
        self._take_on(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to another trial; a new process would load PyTorch and Ray again, for 3 seconds of a core."""
        self.cleanup()
        self._take_on(new_config)
        return True

    def _take_on(self, config: dict[str, Any]) -> None:
        search = self._search
        self._parameters = dict(config)
        self._output = trial_records.trial_folder(search.output, int(self.trial_id))
        self._training: TrialTraining | None = None
        self._best_mm = math.inf
        # After each epoch, Tune may copy the state of a trial of a population, so the training waits for Tune then.
        self._waits = self._population is not None
        self._interval = search.pbt.interval_epochs
        self._timeout = search.trial_timeout
        self._config = trial_config(search, config, self._output)
        if self._waits:
            self._lock = lock_trial(self._output)

    def step(self) -> dict[str, Any]:
        """Train an epoch."""
        try:
            if self._training is None:
                self._training = self._begin()
            epoch = self._training.next_epoch()
        except Exception as error:
            from pipelines.tune.trial_training import why_hopeless

            reason = why_hopeless(error)
            if reason is None:
                raise  # a retry may succeed
            return {TIME: 0, METRIC: float("nan"), HOPELESS: reason, "done": True}
        if self._waits:
            # The last epoch after which trials are compared, but at least the first; otherwise the trial that starts
            # first could end before the others start.
            compared = max(1, epoch.epoch - epoch.epoch % self._interval)
            wait_for(self._population, int(self.trial_id), epoch.epoch, compared)
        score_mm = epoch.validation[self._config.metric]
        # During the warm-up, trials that differ only in the use of unlabeled tracks are still equal.
        if epoch.epoch > self._config.warmup_epochs:
            self._best_mm = min(score_mm, self._best_mm)
        result = {
            TIME: epoch.epoch,
            METRIC: score_mm if self._waits else self._best_mm,
            SCORE: score_mm,
            METRICS: epoch.metrics(),
            SOURCE: self._training.source,
        }
        report = self._training.report
        if report is None:
            return result
        self._remove_starts()
        return {**result, REPORT: report, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Give Tune the state after the last reported epoch, for other trials to continue from."""
        assert self._training is not None
        epoch = self._training.last_epoch
        deadline = time.monotonic() + LONGEST_SAVE_S
        while (state := _saved(self._config.output, epoch)) is None:
            assert time.monotonic() < deadline, "the training has not saved the epoch that it reported"
            time.sleep(0.1)
        Path(checkpoint_dir, STATE_FILE).write_bytes(state)
        origin = {"trial": self.trial_id, "epoch": epoch}
        Path(checkpoint_dir, ORIGIN_FILE).write_text(json.dumps(origin), encoding="utf-8")

    def restore(self, checkpoint_path: Any) -> None:
        """Continue from a checkpoint in the output, of which only this format's files are read.

        Tune's own method would unpickle another file if it found one, and others may write into the output.
        """
        saved = checkpoint_path.checkpoint
        with tempfile.TemporaryDirectory(prefix="raylift-") as folder:
            for name in (STATE_FILE, ORIGIN_FILE):
                with saved.filesystem.open_input_stream(f"{saved.path}/{name}") as file:
                    Path(folder, name).write_bytes(file.read())
            ours = tune.Checkpoint.from_directory(folder)
            super().restore(type(checkpoint_path)(checkpoint=ours, metrics=checkpoint_path.metrics))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from another trial's state. The trial's own state is in the output and never older than Tune's."""
        origin = json.loads(Path(checkpoint, ORIGIN_FILE).read_text(encoding="utf-8"))
        exploited = {**origin, "parameters": self._parameters}
        # After a failure, Tune loads the same checkpoint again, which changes nothing.
        if origin["trial"] == self.trial_id or trial_records.read_exploited(self._output) == exploited:
            return
        # The files are written in this order, so that a process killed in between leaves a trial with its old or its
        # new values.
        start = trial_records.start_file(self._output, exploited)
        storage.write_bytes(start, Path(checkpoint, STATE_FILE).read_bytes())
        storage.remove_folder(storage.join(self._output, CHECKPOINTS))
        document = json.dumps(exploited, indent=2).encode()
        storage.write_bytes(storage.join(self._output, trial_records.EXPLOITED_FILE), document)
        self._remove_starts(start)

    def _remove_starts(self, kept: str | None = None) -> None:
        for file in storage.list_folder(self._output, trial_records.START_SUFFIX):
            if file != kept:
                storage.remove(file)

    def cleanup(self) -> None:
        """Stop the training, so that its workers end before this process ends or switches to another trial."""
        if self._training is not None and not self._training.stop():
            log.warning("trial %s: its training hangs; its process ends", self.trial_id)
            # A thread cannot be ended from outside, so the process ends. Tune runs the next trial in a new one.
            os._exit(1)

    @cached_property
    def _surveyed(self) -> SurveyedTracks:
        """Read once for all trials of this process: a trial is refused if the files have changed since."""
        return survey_tracks(self._config)

    @cached_property
    def _tracks(self) -> "SharedTracks":
        from pipelines.tune.shared_tracks import SharedTracks

        return SharedTracks(self._track_sets)

    def _begin(self) -> "TrialTraining":
        from pipelines.tune.trial_training import TrialTraining

        job = run.prepare(self._config, self._surveyed)
        if job.manifest.data != self._data:
            raise UserError("the tracks have changed since the search was begun; search them in another output")
        record = trial_records.read_trial(self._output)
        # The model names its run. If the server was away when the trial began, that is the search's run.
        warmup = warmup_file(self._search.output, job.config) if self._shares_warmups else None
        return TrialTraining(
            job, record.run_id or self._search_run_id, self._waits, self._timeout, warmup, self._tracks.load
        )


def _saved(output: str, epoch: int) -> bytes | None:
    """The state that a training saved after an epoch; None if it is not saved yet."""
    saved = [checkpoint for checkpoint in checkpoints.find(output) if checkpoint.metrics[TIME] == epoch]
    return storage.read_bytes(saved[0].file(STATE_FILE), unparsed=True) if saved else None
