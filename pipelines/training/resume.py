"""The state that a training continues from: its own last checkpoint, or the state of another training."""

import socket
from typing import Any

import torch

from pipelines.io import storage
from pipelines.io.torch_files import parse_checkpoint
from pipelines.training import checkpoints
from pipelines.training.checkpoints import STATE_FILE
from pipelines.training.worker_group import WorkerGroup
from schemas.errors import UserError


def state_to_continue(output: str, workers: WorkerGroup, start: str | None = None) -> dict[str, Any] | None:
    """The state of this training's last checkpoint, else the state that it starts from; None for a fresh start.

    Args:
        output: Folder of the training.
        workers: The workers; all of them continue from the same state.
        start: The state of another training (URI) to start from, if any.

    Raises:
        UserError: The state is damaged, or this worker's machine does not see the output.
    """
    if not storage.exists(output):
        raise UserError(
            f"output={output}: a worker's machine ({socket.gethostname()}) does not see this folder; "
            "give one that all machines share, or a bucket"
        )
    saved = checkpoints.find(output) if workers.leads else []
    where = workers.gather(saved[-1].file(STATE_FILE) if saved else start)[0]
    return None if where is None else read_state(storage.read_bytes(where, unparsed=True), where, workers)


def read_history(output: str) -> list[dict[str, Any]]:
    """The reports of the epochs that a training has saved, in order, as `EpochReport` has them.

    Raises:
        UserError: The output holds no checkpoint, or a damaged one.
    """
    saved = checkpoints.find(output)
    if not saved:
        raise UserError(f"output={output}: holds no checkpoint of a training")
    file = saved[-1].file(STATE_FILE)
    data = storage.read_bytes(file, unparsed=True)
    history = read_state(data, file, WorkerGroup(torch.device("cpu"))).get("history")
    if not isinstance(history, list) or not all(isinstance(report, dict) for report in history):
        raise UserError(f"{file}: has no history of a training; remove its folder, or give a new output")
    return history


def read_state(data: bytes, where: str, workers: WorkerGroup) -> dict[str, Any]:
    """Parse the training state that a worker wrote.

    Raises:
        UserError: The file is damaged, or claims more than it holds.
    """
    try:
        return parse_checkpoint(data, where, "state of a training", workers.device)
    except UserError as error:
        raise UserError(f"{where}: the checkpoint is damaged; remove its folder, or give a new output") from error
