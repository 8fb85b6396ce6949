import numpy as np
import pyarrow as pa
import pytest
import torch
from train_detector.people_samples import DottedPeople, canvases, dotted, known, shape

from pipelines.annotations.people.source import Unreadable
from pipelines.train_detector.crop_cache import CanvasSet, read_summary
from schemas.errors import UserError


def test_joints_lie_on_what_they_were_marked_on(tmp_path):
    canvas_set = canvases(tmp_path)
    assert len(canvas_set) == 6
    for person in range(6):
        canvas, points = canvas_set.canvas(person), canvas_set.keypoints[person].round().long()
        assert canvas.shape == (shape().side, shape().side, 3)
        assert (canvas[points[:, 1], points[:, 0]].max(-1) > 60).all(), "a disc of at least that grey"
        assert canvas_set.labeled[person].tolist() == known(dotted(person)[1]).tolist()
        assert canvas_set.name(person) == f"{person}.png"


def test_lengths_scale_with_the_person(tmp_path):
    canvas_set = canvases(tmp_path)
    for person in range(6):
        _, points = dotted(person)
        scale = float((canvas_set.keypoints[person, 0] - canvas_set.keypoints[person, 1]).norm()) / np.linalg.norm(
            points[0] - points[1]
        )
        head = 0.75 * np.linalg.norm(points[8] - points[10])
        assert float(canvas_set.head_sizes[person]) == pytest.approx(head * scale, rel=1e-4)


def test_what_cannot_be_read_is_noted(tmp_path):
    canvas_set = canvases(tmp_path, DottedPeople("five", missing=2))
    assert len(canvas_set) == 5
    summary = read_summary(str(tmp_path / "five.arrow"))
    assert summary is not None
    assert summary.people == 5
    assert summary.unreadable == (Unreadable("2.png", "there is no such file"),)
    assert read_summary(str(tmp_path / "absent.arrow")) is None


def test_files_of_another_format_are_made_again_and_never_read(tmp_path):
    table = pa.table({"jpeg": [b""]}).replace_schema_metadata({"raylift.format": "raylift.canvases/0"})
    with pa.OSFile(str(tmp_path / "old.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert read_summary(str(tmp_path / "old.arrow")) is None
    with pytest.raises(UserError, match=r"expected raylift\.canvases/1"):
        CanvasSet([str(tmp_path / "old.arrow")], shape())


def test_a_cache_without_people_can_be_written_and_read(tmp_path):
    canvas_set = canvases(tmp_path, DottedPeople("none", images=0))
    assert len(canvas_set) == 0
    assert canvas_set.keypoints.shape == (0, 17, 2)
    assert canvas_set.areas.dtype == torch.float32
