"""A search as a file that `optuna-dashboard` opens: Optuna's journal of a study."""

import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from pipelines.search import optuna_study


def journal(metrics: Sequence[str], trials: Iterable[FrozenTrial]) -> str:
    """The content of the file.

    Args:
        metrics: Names of what trials were compared by.
        trials: The trials that have ended.
    """
    with tempfile.TemporaryDirectory(prefix="raylift-") as folder, warnings.catch_warnings():
        # Optuna has called names of metrics experimental for years, so its warning is silenced.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        file = Path(folder, "journal")
        storage = JournalStorage(JournalFileBackend(str(file)))
        directions = optuna_study.directions(metrics)
        study = optuna.create_study(study_name="raylift", storage=storage, directions=directions)
        study.set_metric_names(list(metrics))
        for trial in trials:
            study.add_trial(trial)
        return file.read_text(encoding="utf-8")
