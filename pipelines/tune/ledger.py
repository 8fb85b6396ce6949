"""What an output folder holds of a search: a note of what was searched, and of each trial how it went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipelines.io import json_documents, storage
from pipelines.io.manifest import ExistingRun, RunManifest
from pipelines.training.checkpoints import CHECKPOINTS
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError
from schemas.job_config import flatten

FORMAT = "raylift.search/1"
# EXPLOITED: what a trial goes on from under population-based training, and the values it has since.
NOTE, TRIAL, EXPLOITED = "search.json", "trial.json", "exploited.json"

# What may change between a search's parts: where it lies, who computes, how long it goes on.
_MAY_CHANGE = {"output", "resources", "max_concurrent_trials", "retries", "trials"}

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """A trial, as far as it is.

    Attributes:
        number: From 1.
        run_id: Its MLflow run.
        parameters: Values by dotted path; under population-based training those it has now.
        state: running, or how it ended: finished (its last epoch), stopped (by the scheduler), failed.
        scores_mm: Error on the people held out after each epoch, by epoch.
        best_epoch: The epoch of the model that counts.
        seconds: How long it ran, from its beginning to its end, waiting for retries included.
        reason: Why it failed, or when it was stopped.
        hopeless: Whether it failed for its own values, so that trying again would end alike.
        exploited: What it went on from, under population-based training: "003 after epoch 10".
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

    @property
    def name(self) -> str:
        """Its folder's name."""
        return trial_name(self.number)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.state in ("finished", "stopped") or self.hopeless

    @property
    def best_mm(self) -> float | None:
        """The error that counts; None before the first epoch."""
        if self.best_epoch is not None:
            return self.scores_mm[self.best_epoch]
        return min(self.scores_mm.values(), default=None)

    def document(self) -> dict[str, Any]:
        """As reports say it."""
        return {
            "trial": self.name,
            "state": self.state,
            "parameters": self.parameters,
            "validation_mpjpe_mm": self.best_mm,
            "best_epoch": self.best_epoch,
            "epochs": max(self.scores_mm, default=0),
            "seconds": round(self.seconds, 1),
            "reason": self.reason,
            "hopeless": self.hopeless,
            "exploited": list(self.exploited),
            "run_id": self.run_id,
            "scores_mm": self.scores_mm,
        }


def look_up(config: TuneConfig, data: str) -> ExistingRun | None:
    """What the output holds; None if it is new.

    Args:
        config: The job.
        data: The digest of its tracks.

    Raises:
        UserError: It holds a search with other settings or of other data, or something else.
    """
    begun = _manifest(config, data).existing_run(config.output, "tracks", NOTE)
    if begun is None and storage.exists(storage.join(config.output, "run.json")):
        raise UserError(f"output={config.output}: holds a training; give another output")
    return begun


def begin(config: TuneConfig, data: str, run_id: str) -> None:
    """Note in the output which search it holds."""
    _manifest(config, data).write(config.output, run_id, NOTE)


def trial_name(number: int) -> str:
    """The name of a trial's folder."""
    return f"{number:03d}"


def trial_folder(output: str, number: int) -> str:
    """The folder (URI) of a trial."""
    return storage.join(output, "trials", trial_name(number))


def read_trials(output: str) -> list[TrialRecord]:
    """Every trial that has begun, by number."""
    folders = storage.list_folder(storage.join(output, "trials"))
    records = [read_trial(folder) for folder in folders if storage.exists(storage.join(folder, TRIAL))]
    return sorted(records, key=lambda record: record.number)


def read_trial(folder: str) -> TrialRecord:
    """The trial that a folder holds."""
    document = json_documents.read(storage.join(folder, TRIAL))
    exploited = read_exploited(folder)
    return _record(document, exploited["parameters"] if exploited else document["parameters"])


def read_exploited(folder: str) -> dict[str, Any] | None:
    """What the trial of a folder goes on from, if from another trial.

    Returns:
        The other `trial`, the `epoch` after which, and the `parameters` since.
    """
    uri = storage.join(folder, EXPLOITED)
    return json_documents.read(uri) if storage.exists(uri) else None


def write_trial(output: str, record: TrialRecord) -> None:
    """Note how a trial is."""
    uri = storage.join(trial_folder(output, record.number), TRIAL)
    json_documents.write(uri, record.document())


def remove_checkpoints(output: str, number: int) -> None:
    """Remove what only a trial that goes on needs: several times the size of its model."""
    storage.remove_folder(storage.join(trial_folder(output, number), CHECKPOINTS))


def _record(document: Mapping[str, Any], parameters: dict[str, Any]) -> TrialRecord:
    return TrialRecord(
        number=int(document["trial"]),
        run_id=document["run_id"],
        parameters=parameters,
        state=document["state"],
        scores_mm={int(epoch): score for epoch, score in document["scores_mm"].items()},
        best_epoch=document["best_epoch"],
        seconds=document["seconds"],
        reason=document["reason"],
        hopeless=document["hopeless"],
        exploited=tuple(document["exploited"]),
    )


def _manifest(config: TuneConfig, data: str) -> RunManifest:
    # A nested and a dotted space are the same one.
    return RunManifest(FORMAT, flatten(config.model_dump(mode="json", exclude=_MAY_CHANGE)), data)
