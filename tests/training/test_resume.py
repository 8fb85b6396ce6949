"""What workers read to go on."""

import pytest
import torch

from pipelines.training import checkpoints
from pipelines.training.checkpoints import STATE_FILE, Best
from pipelines.training.resume import read_state, state_to_continue
from pipelines.training.worker_group import WorkerGroup
from schemas.errors import UserError


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"no checkpoint"]
)
def test_a_damaged_checkpoint_is_one_line(tmp_path, damage):
    file = tmp_path / STATE_FILE
    torch.save({"model": torch.zeros(1000)}, file)
    data = damage(file.read_bytes())
    with pytest.raises(
        UserError, match=r"^out/checkpoints/epoch-000003/training\.pt: the checkpoint is damaged; remove its folder"
    ):
        read_state(data, f"out/checkpoints/epoch-000003/{STATE_FILE}", WorkerGroup(torch.device("cpu")))


def test_pickled_objects_are_not_loaded(tmp_path):
    torch.save({"model": WorkerGroup(torch.device("cpu"))}, tmp_path / STATE_FILE)
    with pytest.raises(UserError, match="damaged"):
        read_state((tmp_path / STATE_FILE).read_bytes(), "out", WorkerGroup(torch.device("cpu")))


def test_a_folder_that_the_worker_does_not_see_is_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"^output=.*/gone: a worker's machine \(.+\) does not see this folder; give one"
    ):
        state_to_continue(str(tmp_path / "gone"), WorkerGroup(torch.device("cpu")))


def test_the_last_checkpoint_comes_before_what_a_training_begins_with(tmp_path):
    workers, start = WorkerGroup(torch.device("cpu")), tmp_path / "start.pt"
    torch.save({"epoch": 0}, start)
    assert state_to_continue(str(tmp_path), workers) is None
    assert state_to_continue(str(tmp_path), workers, str(start)) == {"epoch": 0}
    for epoch in (1, 2):
        metrics = {"epoch": epoch, "error_mm": epoch}
        checkpoints.save(str(tmp_path), metrics, {"epoch": epoch}, lambda folder: None, Best("error_mm", "min"))
    assert state_to_continue(str(tmp_path), workers, str(start)) == {"epoch": 2}
