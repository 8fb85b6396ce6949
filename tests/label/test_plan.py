"""Planning: whatever a video brings about, it costs that video one row."""

from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pytest

from pipelines.label.plan import PlanClips
from pipelines.video.isolated import READER
from pipelines.video.probe import probe
from schemas.configs.label import DecodeConfig
from schemas.formats.videos import VideoSource


def plan(uri: str, what_probe_does) -> list[dict]:
    """The rows of a video, with `what_probe_does` for the decoder's process."""
    stage = PlanClips(DecodeConfig(), READER)
    stage._reader.probe = what_probe_does
    source = VideoSource(uri=uri).model_dump_json()
    [table] = stage(pa.table({"source": [source], "done": pa.array([None], pa.list_(pa.int64()))}))
    return table.to_pylist()


def test_a_video_is_cut_into_clips(make_video, tmp_path):
    video = str(make_video(tmp_path / "a.mp4", 20))
    assert [(row["error"], row["stop_frame"]) for row in plan(video, probe)] == [(None, 20)]


def test_numbered_pictures_are_planned_like_a_film(tmp_path):
    for number in range(20):
        cv2.imwrite(f"{tmp_path}/{number:03d}.png", np.full((20, 40, 3), 100, np.uint8))
    [row] = plan(f"{tmp_path}/%03d.png#fps=10", probe)
    assert (row["error"], row["stop_frame"], row["fps"], row["width"]) == (None, 20, 10, 40)
    assert row["timestamps_s"][-1] == pytest.approx(1.9)
    assert row["version"]


def test_a_number_that_no_column_holds_fails_the_video_alone(make_video, tmp_path):
    video = str(make_video(tmp_path / "a.mp4", 20))
    [row] = plan(video, lambda path: replace(probe(path), width=2**70))
    assert row["error"].startswith("unexpected ")


@pytest.mark.parametrize("error", [ZeroDivisionError("by nothing"), MemoryError(), RecursionError("deep")])
def test_whatever_planning_raises_fails_the_video_alone(error, tmp_path):
    def fails(path):
        raise error

    [row] = plan(str(tmp_path / "a.mp4"), fails)
    assert row["error"] == f"unexpected {type(error).__name__}: {error}"
