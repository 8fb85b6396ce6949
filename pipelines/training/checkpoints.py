"""The checkpoints of a training: one folder per epoch, complete or ignored; the best and the last one are kept.

The workers of a killed job may write for some seconds beside those of its successor. Therefore a folder is named by its
epoch, its metrics are written last and removed first, and the folders themselves are the only list of checkpoints.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.io import json_documents, storage

# The folder of all checkpoints within the output; Ray Train keeps its marker file there too.
CHECKPOINTS = "checkpoints"
FOLDER = "epoch-"
# The files in each checkpoint beside the model for use: its metrics, and everything that resuming needs.
METRICS_FILE = "metrics.json"
STATE_FILE = "training.pt"


@dataclass(frozen=True)
class Best:
    """How checkpoints are ranked.

    Attributes:
        metric: The name of the metric that is compared.
        mode: Whether its smallest or its largest value is the best; of equal values the earliest is.
        warmup_epochs: Number of first epochs that are not compared, because they do not yet train on all data.
    """

    metric: str
    mode: Literal["min", "max"]
    warmup_epochs: int = 0

    def of(self, checkpoints: Sequence["Checkpoint"]) -> "Checkpoint":
        """The best of some checkpoints, which are in order of epochs; the last one if all are of the warm-up."""
        compared = [checkpoint for checkpoint in checkpoints if checkpoint.metrics["epoch"] > self.warmup_epochs]
        choose = min if self.mode == "min" else max
        return choose(compared or checkpoints[-1:], key=lambda checkpoint: checkpoint.metrics[self.metric])


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint.

    Attributes:
        folder: Its URI.
        metrics: `epoch`, and the metric that checkpoints are ranked by.
    """

    folder: str
    metrics: Mapping[str, Any]

    def file(self, name: str) -> str:
        """The URI of one of its files."""
        return storage.join(self.folder, name)


def save(
    output: str,
    metrics: Mapping[str, Any],
    state: Mapping[str, Any],
    write_model: Callable[[str], None],
    best: Best,
) -> None:
    """Save a checkpoint, and remove those that are neither the best nor the last one.

    Args:
        output: Folder of the training.
        metrics: `epoch`, and the metric that checkpoints are ranked by.
        state: Everything that resuming needs: tensors, numbers, strings, and lists and dicts of them.
        write_model: Writes the model for use into a folder.
        best: How checkpoints are ranked.

    Raises:
        RunFailed: The checkpoint cannot be written.
    """
    import torch  # here, because a job with nothing to do looks for checkpoints, which needs no PyTorch

    folder = storage.join(output, CHECKPOINTS, f"{FOLDER}{metrics['epoch']:06d}")
    content = io.BytesIO()
    torch.save(state, content)
    storage.write_bytes(storage.join(folder, STATE_FILE), content.getbuffer())
    write_model(folder)
    storage.write_bytes(storage.join(folder, METRICS_FILE), json.dumps(metrics).encode())
    saved = find(output)
    kept = {saved[-1].folder, best.of(saved).folder}
    for checkpoint in saved:
        if checkpoint.folder not in kept:
            storage.remove(checkpoint.file(METRICS_FILE))
            storage.remove_folder(checkpoint.folder)


def find(output: str) -> list[Checkpoint]:
    """The checkpoints of a training, in order of epochs."""
    complete = []
    for folder in storage.list_folder(storage.join(output, CHECKPOINTS)):
        if not folder.rsplit("/", 1)[1].startswith(FOLDER):
            continue
        try:
            complete.append(Checkpoint(folder, json_documents.read(storage.join(folder, METRICS_FILE))))
        except FileNotFoundError:
            continue  # the checkpoint is being written or removed
    return complete
