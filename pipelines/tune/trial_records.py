"""The record of each trial in the output of a search, from which an interrupted search continues."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from pipelines.io import json_documents, storage
from pipelines.training.checkpoints import CHECKPOINTS
from schemas.configs.search_space import Space
from schemas.errors import UserError

MANIFEST = "search.json"
TRIAL_FILE = "trial.json"
# The models that a training writes at its end.
MODELS = ("best.pt", "last.pt")
# Under population-based training, this file has the trial that this one continued from, and its values since then.
EXPLOITED_FILE = "exploited.json"
# Suffix of files with the state of another trial that a training continues from.
START_SUFFIX = ".start.pt"

# The field that repeats of a trial have other values of.
SEED = "optimization.seed"
# Charts and samplers take time for each number up to the highest.
MOST_TRIALS = 100_000

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """The state of a trial.

    Attributes:
        number: From 1.
        run_id: Its MLflow run; empty if the tracking server has been away since it began.
        parameters: Values by dotted path; under population-based training its present ones.
        state: running, or how it ended: finished (after its last epoch), stopped (by the scheduler), failed.
        scores_mm: Validation error (MPJPE, mm) after each epoch, by epoch.
        best_epoch: Epoch of its best model.
        seconds: Time from its start to its end, with the waiting for retries.
        reason: Why it failed, or after which epoch it was stopped.
        hopeless: Whether its own values made it fail, so that a retry would fail too.
        exploited: Under population-based training, what it continued from: "003 after epoch 10".
        warmup_epochs: Number of first epochs without unlabeled tracks, whose errors do not count.
        measures: What else it is compared by: other errors of its best model, and what its lifter costs.
        repeats: Number of the trial that it repeats with another seed; None if its values were proposed.
    """

    number: int
    run_id: str
    parameters: dict[str, Any]
    state: State = "running"
    scores_mm: dict[int, float] = field(default_factory=dict)
    best_epoch: int | None = None
    seconds: float = 0.0
    reason: str | None = None
    hopeless: bool = False
    exploited: tuple[str, ...] = ()
    warmup_epochs: int = 0
    measures: dict[str, float] = field(default_factory=dict)
    repeats: int | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        return trial_name(self.number)

    @property
    def ended(self) -> bool:
        """Whether it needs no further training."""
        return self.state in ("finished", "stopped") or self.hopeless

    @property
    def best_mm(self) -> float | None:
        """Its best validation error, mm; None before the first epoch that counts."""
        if self.best_epoch is not None:
            return self.scores_mm[self.best_epoch]
        return min(self.counted_mm.values(), default=None)

    @property
    def counted_mm(self) -> dict[int, float]:
        """The validation errors that trials are compared by, by epoch: those after the warm-up."""
        return {epoch: score_mm for epoch, score_mm in self.scores_mm.items() if epoch > self.warmup_epochs}

    def document(self) -> dict[str, Any]:
        """The record as JSON values, as trial.json and the report hold it."""
        return {
            "trial": self.name,
            "state": self.state,
            "parameters": self.parameters,
            "error_mm": self.best_mm,
            "best_epoch": self.best_epoch,
            "epochs": max(self.scores_mm, default=0),
            "warmup_epochs": self.warmup_epochs,
            "measures": self.measures,
            "repeats": self.repeats and trial_name(self.repeats),
            "seconds": round(self.seconds, 1),
            "reason": self.reason,
            "hopeless": self.hopeless,
            "exploited": list(self.exploited),
            "run_id": self.run_id,
            "scores_mm": self.scores_mm,
        }


_RECORD = TypeAdapter(TrialRecord)


def trial_name(number: int) -> str:
    """The name of a trial's folder."""
    return f"{number:03d}"


def trial_folder(output: str, number: int) -> str:
    """The folder (URI) of a trial."""
    return storage.join(output, "trials", trial_name(number))


def read_trials(output: str, space: Space | None = None, own: Mapping[str, Any] | None = None) -> list[TrialRecord]:
    """The records of all trials that have started, by number.

    Args:
        output: The output of a search, into which others may write.
        space: What the search searches. Trials that go on are trained with their values, which would otherwise choose
            the code that is imported, and the files that are read and written.
        own: The config's own values of what it searches, which earlier versions tried even outside the space.

    Raises:
        UserError: A record is damaged, or has values that the search does not search.
    """
    folders = storage.list_folder(storage.join(output, "trials"))
    records = [read_trial(folder) for folder in folders if storage.exists(storage.join(folder, TRIAL_FILE))]
    for record in records if space is not None else ():
        _require_searched(record, space or {}, own or {}, output)
    return sorted(records, key=lambda record: record.number)


def read_trial(folder: str) -> TrialRecord:
    """The record in a trial's folder."""
    document = json_documents.read(storage.join(folder, TRIAL_FILE), parameters=dict)
    exploited = read_exploited(folder)
    with json_documents.damage(folder):
        record = _record(document, exploited["parameters"] if exploited else document["parameters"])
        if record.name != folder.rstrip("/").rpartition("/")[2]:
            raise ValueError(f"it is that of trial {record.name}")
        if record.number > MOST_TRIALS:
            raise ValueError(f"searches have at most {MOST_TRIALS:,} trials")
        return record


def read_exploited(folder: str) -> dict[str, Any] | None:
    """Which other trial the trial of a folder continued from; None if it did not.

    Returns:
        The other `trial`, the `epoch` after which its state was taken, and the `parameters` since then.
    """
    uri = storage.join(folder, EXPLOITED_FILE)
    if not storage.exists(uri):
        return None
    exploited = json_documents.read(uri, trial=str, epoch=int, parameters=dict)
    start_file(folder, exploited)  # which checks it
    return exploited


def start_file(output: str, exploited: Mapping[str, Any]) -> str:
    """Where a trial keeps the state of the other trial that it continues from.

    Raises:
        UserError: The other trial or its epoch is no number, but a way to somewhere else.
    """
    with json_documents.damage(output):
        name, epoch = trial_name(int(exploited["trial"])), int(exploited["epoch"])
        if name != exploited["trial"] or epoch < 0:
            raise ValueError(f"it continues from {str(exploited['trial'])[:40]!r} after epoch {epoch}")
        return storage.join(output, f"{name}-{epoch}{START_SUFFIX}")


def write_trial(output: str, record: TrialRecord) -> None:
    """Write the record of a trial."""
    uri = storage.join(trial_folder(output, record.number), TRIAL_FILE)
    json_documents.write(uri, record.document())


def remove_checkpoints(output: str, number: int) -> None:
    """Remove the checkpoints of a trial that has ended: they take several times the size of its model."""
    storage.remove_folder(storage.join(trial_folder(output, number), CHECKPOINTS))


def remove_models(output: str, numbers: Iterable[int]) -> None:
    """Remove the models of trials; their metrics stay."""
    for number in numbers:
        for name in MODELS:
            storage.remove(storage.join(trial_folder(output, number), name))


def _require_searched(record: TrialRecord, space: Space, own: Mapping[str, Any], output: str) -> None:
    for path, value in record.parameters.items():
        if path == SEED and record.repeats is not None and type(value) is int:
            continue
        if path not in space or not (space[path].contains(value) or value == own.get(path)):
            raise UserError(
                f"output={output}: trial {record.name} has {path}={str(value)[:80]}, which the search space does not "
                "contain: somebody else wrote it; remove the folder of the trial, or give another output"
            )


def _record(document: Mapping[str, Any], parameters: dict[str, Any]) -> TrialRecord:
    """The record in a document.

    Raises:
        ValueError: A value is of another kind, or contradicts another one.
    """
    record = _RECORD.validate_python(
        {
            "number": int(document["trial"]),
            "parameters": parameters,
            # Version 0.1.0 did not write these entries.
            "warmup_epochs": document.get("warmup_epochs", 0),
            "measures": document.get("measures", {}),
            "repeats": int(document["repeats"]) if document.get("repeats") else None,
            **{name: document[name] for name in ("run_id", "state", "scores_mm", "best_epoch", "seconds")},
            **{name: document[name] for name in ("reason", "hopeless", "exploited")},
        }
    )
    if record.best_epoch is not None and record.best_epoch not in record.scores_mm:
        raise ValueError(f"its best epoch, {record.best_epoch}, has no error")
    if record.state == "finished" and not any(map(math.isfinite, record.counted_mm.values())):
        raise ValueError("it is finished and has no error")
    if not 0 <= record.seconds < math.inf:
        raise ValueError(f"it took {record.seconds} s")
    return record
