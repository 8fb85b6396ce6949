"""Code that the training jobs share: reading what their output holds, and keeping the models at the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.io import storage
from pipelines.io.manifest import RunManifest
from pipelines.training import checkpoints
from pipelines.training.checkpoints import Best
from schemas.errors import RunFailed


@dataclass(frozen=True)
class TrainingWork:
    """What an output holds of a training.

    Attributes:
        run_id: The MLflow run that began it; None if the output is new.
        report: The report of the finished training; None if it is not finished.
        finished_epochs: How many epochs it had when it was finished, if it is to have more now.
    """

    run_id: str | None
    report: Mapping[str, Any] | None
    finished_epochs: int | None = None

    @property
    def nothing_to_do(self) -> bool:
        """Whether the training is finished."""
        return self.report is not None


def survey_output(manifest: RunManifest, output: str, data: str, epochs: int) -> TrainingWork:
    """Find out what the output holds of a training.

    Args:
        manifest: The training.
        output: Its folder.
        data: What its data are called in messages.
        epochs: How many it shall have. The report of one that had fewer is not that of the finished training.

    Raises:
        UserError: The output holds a training with other settings or other data, or another job.
    """
    existing = manifest.existing_run(output, data)
    if existing is None:
        return TrainingWork(None, None)
    if existing.report is not None and existing.report["epochs"] < epochs:
        return TrainingWork(existing.run_id, None, finished_epochs=existing.report["epochs"])
    return TrainingWork(existing.run_id, existing.report)


def keep_models(output: str, best: Best, file: str) -> Mapping[str, Any]:
    """Copy the model file of the best and of the last checkpoint to best.pt and last.pt.

    Args:
        output: Folder of the training.
        best: How checkpoints are ranked.
        file: The name of the model file in each checkpoint.

    Returns:
        The metrics of the best checkpoint.

    Raises:
        RunFailed: There is no checkpoint, or the output cannot be written.
    """
    saved = checkpoints.find(output)
    if not saved:
        raise RunFailed("training: was stopped before the end of its first epoch")
    best_checkpoint = best.of(saved)
    for name, checkpoint in (("last.pt", saved[-1]), ("best.pt", best_checkpoint)):
        storage.write_bytes(storage.join(output, name), storage.read_bytes(checkpoint.file(file), unparsed=True))
    return best_checkpoint.metrics
