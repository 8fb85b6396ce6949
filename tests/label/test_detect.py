import hashlib

import numpy as np
import pyarrow as pa
import pytest
from pydantic import field_validator

from jobs.command_line.arguments import read_config
from pipelines.detectors.base import Detector, TimedDetector
from pipelines.detectors.blazepose.detector import BlazePoseConfig
from pipelines.detectors.loading import load_detector
from pipelines.label.detect import DetectPeople
from pipelines.pose.people import People
from schemas.configs.label import LabelConfig
from schemas.errors import UserError
from schemas.formats.detections import DECODED
from schemas.job_config import JobConfig, PluginConfig
from schemas.layouts import layout


class Untimed:
    """Nobody, from frames alone: a detector as plug-ins have always been."""

    Config = JobConfig
    layout = layout("coco17")
    weights_sha256 = hashlib.sha256(b"").hexdigest()

    def __init__(self, config, threads, device):
        pass

    def __call__(self, frames):
        return [People.nobody(17) for _ in frames]


class Clock(Untimed):
    """One person in each frame, whose box ends at the frame's time, s."""

    def detect_clip(self, frames, timestamps_s):
        assert len(frames) == len(timestamps_s)
        return [self.person(time_s) for time_s in timestamps_s]

    def person(self, time_s):
        box = np.array([[0, 0, time_s, 1]], np.float32)
        return People(box, np.ones(1, np.float32), np.zeros((1, 17, 2), np.float32), np.ones((1, 17), np.float32))


class Fails(Untimed):
    def __call__(self, frames):
        raise ZeroDivisionError("by nothing")


def detect(name: str, decoded: list[bool]) -> dict:
    """The row of a clip of 16 x 8 pixels, frames shown at 1, 2, 4, 8 s."""
    row = dict.fromkeys(DECODED.names) | {
        **{"clip_id": "a", "video": "a.mp4", "clip_index": 0, "clip_count": 1, "start_frame": 0, "stop_frame": 4},
        **{"timestamps_s": [1.0, 2.0, 4.0, 8.0], "decoded": decoded, "width": 32, "height": 16},
        **{"frames": bytes(sum(decoded) * 8 * 16 * 3), "frame_width": 16, "frame_height": 8},
    }
    stage = DetectPeople(PluginConfig(name=f"test_detect:{name}"), 1, "cpu")
    [table] = stage(pa.Table.from_pylist([row], schema=DECODED))
    return table.to_pylist()[0]


def test_a_timed_detector_gets_the_timestamps_of_the_decoded_frames():
    row = detect("Clock", [True, False, True, True])
    # The video is twice as wide as its frames were decoded.
    assert [[person["box"][2] for person in people] for people in row["people"]] == [[2.0], [], [8.0], [16.0]]
    assert row["detections"] == 3


def test_whatever_a_detector_raises_fails_its_clip_alone():
    row = detect("Fails", [True, False, True, True])
    assert row["error"] == "unexpected ZeroDivisionError: by nothing"
    assert (row["people"], row["detections"]) == ([[], [], [], []], 0)


def test_a_detector_that_does_not_follow_people_gets_frames_only():
    row = detect("Untimed", [True] * 4)
    assert (row["people"], row["detections"], row["error"]) == ([[]] * 4, 0, None)


@pytest.mark.parametrize(("kind", "timed"), [(Untimed, False), (Clock, True)])
def test_the_protocols_distinguish_timed_detectors_from_others(kind, timed):
    made = kind(None, 1, "cpu")
    assert isinstance(made, Detector)
    assert isinstance(made, TimedDetector) == timed


class Wrapping(Untimed):
    """Builds another detector, as a wrapper does, from options that its own `Config` does not look at."""

    class Config(JobConfig):
        tiles: int = 1

    def __init__(self, config, threads, device):
        BlazePoseConfig.model_validate({"tiles": config.tiles, "tile": 2})


class Checking(Untimed):
    """Checks the options of another detector in its own `Config`."""

    class Config(JobConfig):
        inner: dict[str, int] | None = None

        @field_validator("inner")
        @classmethod
        def _known(cls, inner):
            BlazePoseConfig.model_validate(inner or {})
            return inner


def test_wrong_options_of_a_wrapped_detector_are_lines_and_no_traceback():
    with pytest.raises(UserError) as error:
        load_detector(PluginConfig.model_validate({"name": "test_detect:Wrapping", "tiles": 99}), 1, "cpu")
    assert str(error.value).splitlines() == [
        "detector: BlazePoseConfig: tiles=99: input should be less than or equal to 8",
        "detector: BlazePoseConfig: tile=2: there is no such field; --help lists the fields",
    ]
    fields = ["videos=a", "output=b", "detector=test_detect:Checking", "detector.inner={tiles: 99}"]
    with pytest.raises(UserError) as error:
        read_config(LabelConfig, fields)
    assert str(error.value) == "detector.inner.tiles=99: input should be less than or equal to 8"
