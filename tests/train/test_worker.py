"""What workers read to go on."""

import pytest
import torch

from pipelines.train.worker import STATE_FILE, read_state
from pipelines.train.worker_group import WorkerGroup
from schemas.errors import UserError


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"no checkpoint"]
)
def test_a_damaged_checkpoint_is_one_line(tmp_path, damage):
    file = tmp_path / STATE_FILE
    torch.save({"model": torch.zeros(1000)}, file)
    data = damage(file.read_bytes())
    with pytest.raises(
        UserError, match=r"^out/checkpoint_3/training\.pt: the checkpoint is damaged; remove its folder"
    ):
        read_state(data, f"out/checkpoint_3/{STATE_FILE}", WorkerGroup(torch.device("cpu")))


def test_pickled_objects_are_not_loaded(tmp_path):
    torch.save({"model": WorkerGroup(torch.device("cpu"))}, tmp_path / STATE_FILE)
    with pytest.raises(UserError, match="damaged"):
        read_state((tmp_path / STATE_FILE).read_bytes(), "out", WorkerGroup(torch.device("cpu")))
