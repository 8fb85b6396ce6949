"""The record of each trial in the output of a search, from which an interrupted search continues."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.io import json_documents, storage
from pipelines.training.checkpoints import CHECKPOINTS

MANIFEST = "search.json"
TRIAL_FILE = "trial.json"
# The models that a training writes at its end.
MODELS = ("best.pt", "last.pt")
# Under population-based training, this file has the trial that this one continued from, and its values since then.
EXPLOITED_FILE = "exploited.json"
# Suffix of files with the state of another trial that a training continues from.
START_SUFFIX = ".start.pt"

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


def trial_name(number: int) -> str:
    """The name of a trial's folder."""
    return f"{number:03d}"


def trial_folder(output: str, number: int) -> str:
    """The folder (URI) of a trial."""
    return storage.join(output, "trials", trial_name(number))


def read_trials(output: str) -> list[TrialRecord]:
    """The records of all trials that have started, by number."""
    folders = storage.list_folder(storage.join(output, "trials"))
    records = [read_trial(folder) for folder in folders if storage.exists(storage.join(folder, TRIAL_FILE))]
    return sorted(records, key=lambda record: record.number)


def read_trial(folder: str) -> TrialRecord:
    """The record in a trial's folder."""
    document = json_documents.read(storage.join(folder, TRIAL_FILE), parameters=dict)
    exploited = read_exploited(folder)
    with json_documents.damage(folder):
        return _record(document, exploited["parameters"] if exploited else document["parameters"])


def read_exploited(folder: str) -> dict[str, Any] | None:
    """Which other trial the trial of a folder continued from; None if it did not.

    Returns:
        The other `trial`, the `epoch` after which its state was taken, and the `parameters` since then.
    """
    uri = storage.join(folder, EXPLOITED_FILE)
    return json_documents.read(uri, trial=str, epoch=int, parameters=dict) if storage.exists(uri) else None


def start_file(output: str, exploited: Mapping[str, Any]) -> str:
    """Where a trial keeps the state of the other trial that it continues from."""
    return storage.join(output, f"{exploited['trial']}-{exploited['epoch']}{START_SUFFIX}")


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


def _record(document: Mapping[str, Any], parameters: dict[str, Any]) -> TrialRecord:
    return TrialRecord(
        number=int(document["trial"]),
        run_id=document["run_id"],
        parameters=parameters,
        state=document["state"],
        scores_mm={int(epoch): score for epoch, score in document["scores_mm"].items()},
        # Version 0.1.0 did not write these entries.
        warmup_epochs=document.get("warmup_epochs", 0),
        measures=document.get("measures", {}),
        repeats=int(document["repeats"]) if document.get("repeats") else None,
        best_epoch=document["best_epoch"],
        seconds=document["seconds"],
        reason=document["reason"],
        hopeless=document["hopeless"],
        exploited=tuple(document["exploited"]),
    )
