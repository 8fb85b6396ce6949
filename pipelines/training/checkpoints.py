"""The checkpoints of a training: a folder per epoch, whole or not there; the best one and the last one are kept.

A job that was killed may leave workers that write for some seconds more, beside those of its successor. So a folder is
named by its epoch, its metrics are written last and removed first, and nothing but these folders says which there are.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from pipelines.io import storage

# The folder of all of them within the output; Ray Train's marker lies there too.
CHECKPOINTS = "checkpoints"
FOLDER = "epoch-"
# In each of them, beside the model for use: what it was saved with, and everything that resuming needs.
METRICS_FILE = "metrics.json"
STATE_FILE = "training.pt"


@dataclass(frozen=True)
class Best:
    """What checkpoints are ranked by.

    Attributes:
        metric: Of those that they are saved with.
        mode: Whether the smallest or the largest is the best; the first one of equals is.
    """

    metric: str
    mode: Literal["min", "max"]

    def of(self, checkpoints: Sequence["Checkpoint"]) -> "Checkpoint":
        """The best of some checkpoints in order of epochs."""
        choose = min if self.mode == "min" else max
        return choose(checkpoints, key=lambda checkpoint: checkpoint.metrics[self.metric])


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole.

    Attributes:
        folder: Its URI.
        metrics: `epoch`, and what else it was saved with.
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
        metrics: `epoch`, and what checkpoints are ranked by.
        state: Everything that resuming needs: tensors and what is plain.
        write_model: Writes the model for use into a folder.
        best: How checkpoints are ranked.

    Raises:
        RunFailed: It cannot be written.
    """
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
    found = []
    for folder in storage.list_folder(storage.join(output, CHECKPOINTS)):
        if not folder.rsplit("/", 1)[1].startswith(FOLDER):
            continue
        try:
            found.append(Checkpoint(folder, json.loads(storage.read_bytes(storage.join(folder, METRICS_FILE)))))
        except FileNotFoundError:
            continue  # being written, or being removed
    return found
