"""Checkpoints that are there whole or not at all, and which of them stay."""

import json
from pathlib import Path

import pytest
import torch

from pipelines.io import storage
from pipelines.training import checkpoints
from pipelines.training.checkpoints import METRICS_FILE, STATE_FILE, Best

SMALLEST = Best("error_mm", "min")


def save(output, epoch, error_mm, best=SMALLEST):
    def write_model(folder):
        storage.write_bytes(f"{folder}/model.pt", f"model {epoch}".encode())

    checkpoints.save(str(output), {"epoch": epoch, "error_mm": error_mm}, {"epoch": epoch}, write_model, best)


def epochs(output):
    return [checkpoint.metrics["epoch"] for checkpoint in checkpoints.find(str(output))]


@pytest.mark.parametrize(
    ("best", "errors_mm", "kept"),
    [
        (SMALLEST, [5], [1]),
        (SMALLEST, [5, 3, 4, 6], [2, 4]),
        (SMALLEST, [5, 4, 3], [3]),
        (SMALLEST, [3, 3, 3], [1, 3]),
        (Best("error_mm", "max"), [5, 3, 6, 4], [3, 4]),
        (Best("error_mm", "min", warmup_epochs=2), [3, 2, 9, 8, 8.5], [4, 5]),
        (Best("error_mm", "min", warmup_epochs=2), [3, 5], [2]),
    ],
)
def test_the_best_and_the_last_stay(tmp_path, best, errors_mm, kept):
    for epoch, error_mm in enumerate(errors_mm, start=1):
        save(tmp_path, epoch, error_mm, best)
    assert epochs(tmp_path) == kept
    assert len(list(Path(tmp_path, "checkpoints").iterdir())) == len(kept), "nothing of the others is left"
    assert best.of(checkpoints.find(str(tmp_path))).metrics["epoch"] == kept[0]


def test_a_checkpoint_is_all_that_was_saved(tmp_path):
    save(tmp_path, 7, 1.5)
    (checkpoint,) = checkpoints.find(str(tmp_path))
    assert checkpoint.metrics == {"epoch": 7, "error_mm": 1.5}
    assert torch.load(checkpoint.file(STATE_FILE), weights_only=True) == {"epoch": 7}
    assert storage.read_bytes(checkpoint.file("model.pt")) == b"model 7"


def test_a_half_written_one_does_not_count(tmp_path):
    save(tmp_path, 1, 5)
    save(tmp_path, 2, 4)
    (last,) = (one for one in checkpoints.find(str(tmp_path)) if one.metrics["epoch"] == 2)
    Path(last.file(METRICS_FILE)).unlink()
    assert epochs(tmp_path) == []
    save(tmp_path, 2, 4)
    assert epochs(tmp_path) == [2]


def test_workers_of_a_killed_job_that_still_write_do_no_harm(tmp_path):
    """The successor goes on from epoch 3 while its predecessor saves 4 and 5, and ends as if alone."""
    for epoch, error_mm in ((1, 9), (2, 5), (3, 8)):
        save(tmp_path, epoch, error_mm)
    successor_begins_at = checkpoints.find(str(tmp_path))[-1].metrics["epoch"]
    assert successor_begins_at == 3
    save(tmp_path, 4, 7)
    save(tmp_path, 5, 6)
    for epoch, error_mm in ((4, 7), (5, 6), (6, 8)):
        save(tmp_path, epoch, error_mm)
    assert epochs(tmp_path) == [2, 6]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    save(tmp_path, 1, 5)
    marker = tmp_path / "checkpoints" / ".validate_storage_marker"
    marker.touch()
    save(tmp_path, 2, 4)
    assert marker.exists()
    assert epochs(tmp_path) == [2]


def test_a_training_that_saved_nothing_has_none(tmp_path):
    assert checkpoints.find(str(tmp_path / "new")) == []


def test_metrics_are_plain_json(tmp_path):
    save(tmp_path, 1, 5)
    assert json.loads((tmp_path / "checkpoints" / "epoch-000001" / METRICS_FILE).read_text()) == {
        "epoch": 1,
        "error_mm": 5,
    }
