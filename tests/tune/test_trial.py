"""What a trial reports to Ray Tune, without Ray."""

import os
import pickle
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.train._internal.session import _TrainingResult
from ray.tune.trainable.trainable import _DICT_CHECKPOINT_FILE_NAME
from tune.search_samples import RATE, tune_config

from pipelines.search.trial_values import trial_config
from pipelines.training.checkpoints import STATE_FILE
from pipelines.training.reports import EpochReport
from pipelines.tune import trial_training
from pipelines.tune.trial import HOPELESS, METRIC, ORIGIN_FILE, SCORE, TrainingTrial
from pipelines.tune.trial_training import TrialTraining
from schemas.errors import RunFailed


class Training:
    """Ends an epoch with each of some errors, or fails."""

    source = report = None

    def __init__(self, *ends: float | Exception) -> None:
        self._ends = list(enumerate(ends, start=1))

    def next_epoch(self) -> EpochReport:
        epoch, end = self._ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return EpochReport(
            epoch, {"total": 1.0}, 1e-3, 10, "frames", 1.0, 0.5, {"mpjpe_mm": end, "p_mpjpe_mm": end / 2}
        )


def trial(training: Training, *fields: str) -> Any:
    config = tune_config(*fields)
    made: Any = TrainingTrial.__new__(TrainingTrial)
    made._training, made._config = training, trial_config(config, {}, "o")
    made._best_mm, made._waits = float("inf"), False
    return made


def test_trials_are_compared_by_their_best_epoch_after_the_warm_up():
    errors_mm = (50.0, 90.0, 95.0, 70.0)
    supervised = trial(Training(*errors_mm))
    assert [supervised.step()[METRIC] for _ in errors_mm] == [50, 50, 50, 50]
    semi = trial(Training(*errors_mm), "unlabeled=b", "objective.warmup_epochs=1")
    results = [semi.step() for _ in errors_mm]
    assert [result[METRIC] for result in results] == [float("inf"), 90, 90, 70]
    assert [result[SCORE] for result in results] == list(errors_mm)


def test_trials_are_compared_by_the_metric_of_the_search():
    result = trial(Training(50.0), "metric=p_mpjpe_mm").step()
    assert (result[METRIC], result[SCORE]) == (25, 25)


def test_a_process_takes_on_trial_after_trial(monkeypatch):
    stopped = []
    monkeypatch.setattr(TrainingTrial, "trial_id", property(lambda self: "002"))
    first = trial(Training(50.0, 40.0))
    fixed = {"data": "d", "run_id": "r", "population": None, "shares_warmups": False, "track_sets": None}
    first.setup({}, search=tune_config("output=o"), **fixed)
    first._training = Training(50.0)
    first.step()
    monkeypatch.setattr(first._training, "stop", lambda: stopped.append(True) or True, raising=False)
    assert first.reset_config({RATE: 0.5})
    assert stopped == [True], "the training before has ended"
    assert (first._training, first._best_mm) == (None, float("inf"))
    assert first._config.optimization.learning_rate == 0.5
    assert first._config.output.endswith("/trials/002")


def test_an_exception_ends_a_trial_and_lost_workers_have_it_tried_again():
    result = trial(Training(ZeroDivisionError("division by zero"))).step()
    assert (result[HOPELESS], result["done"]) == ("ZeroDivisionError: division by zero", True)
    with pytest.raises(RunFailed, match="4 times"):
        trial(Training(RunFailed("training: the workers failed 4 times"))).step()


def test_a_trial_that_takes_too_long_fails_and_says_so(monkeypatch, tmp_path):
    ended = threading.Event()
    monkeypatch.setattr(trial_training.run, "execute", lambda *given, **named: ended.wait(60))
    job: Any = SimpleNamespace(config=trial_config(tune_config(f"output={tmp_path}"), {}, str(tmp_path)))
    hanging: Any = TrialTraining(job, "run", False, timeout="0.1s")
    result = trial(hanging).step()
    assert (result[HOPELESS], result["done"]) == ("trial_timeout=0.1s: took longer, after epoch 0", True)
    ended.set()


class Run:
    """Unpickles into a call that leaves a file behind."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_a_pickle_that_somebody_puts_beside_a_checkpoint_is_not_read(tmp_path: Path) -> None:
    saved = tmp_path / "checkpoint"
    saved.mkdir()
    (saved / STATE_FILE).write_bytes(b"state")
    (saved / ORIGIN_FILE).write_text("{}")
    (saved / _DICT_CHECKPOINT_FILE_NAME).write_bytes(pickle.dumps(Run(tmp_path / "ran")))
    made = trial(Training())
    made._local_ip, read = "", []
    made.load_checkpoint = lambda folder: read.extend(sorted(os.listdir(folder)))
    made.restore(_TrainingResult(checkpoint=tune.Checkpoint(str(saved), LocalFileSystem()), metrics={}))
    assert read == sorted([STATE_FILE, ORIGIN_FILE])
    assert not (tmp_path / "ran").exists()
