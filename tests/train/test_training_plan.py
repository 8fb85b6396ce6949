"""Trainings that can never work are refused before a worker starts, by the option that makes them impossible."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn
from train.training_samples import person, small, write

from pipelines.lifters.base import build_lifter
from pipelines.tracks import keypoint_reader
from pipelines.train import run
from pipelines.train.plan import plan_training
from pipelines.train.track_choice import survey_tracks
from schemas.configs.train import TrainConfig
from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig


def plan(folder, frames=40, lifter=None, **fields):
    tracks = str(write(folder, person("a", frames), person("b", frames, subject="S2")))
    config = {"labeled": tracks, "output": str(folder / "out"), "data": {"validation_subjects": ["S2"]}}
    config["data"] |= fields.pop("data", {})
    lifter = lifter or {"name": "temporal_conv", "filter_widths": [3], "channels": 8}
    return plan_training(TrainConfig.model_validate(config | {"lifter": lifter} | fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"optimization": {"batch_size": 1}}, "optimization.batch_size=1: the smallest batch has a single frame"),
        ({"frames": 1, "data": {"mirroring": "none"}}, "the smallest batch has a single frame"),
        (
            {"data": {"chunk": 8}, "optimization": {"batch_size": 4}},
            "optimization.batch_size=4: a sample predicts 8 frames, more than a batch",
        ),
        ({"data": {"subset": 0.001}}, "data.subset=0.001: leaves no frame of the 1 labeled tracks"),
    ],
)
def test_what_can_never_be_trained_is_refused(fields, message, tmp_path):
    with pytest.raises(UserError, match=message) as refused:
        plan(tmp_path, **fields)
    assert "\n" not in str(refused.value)


def test_two_frames_are_enough(tmp_path):
    assert plan(tmp_path, frames=2, data={"mirroring": "none"}).shape.chunk == 1


class Wrapping(nn.Module):
    """Builds another lifter from options that its own `Config` does not look at."""

    class Config(JobConfig):
        width: int = 3

    def __init__(self, config, input_layout, output_layout):
        super().__init__()
        named = PluginConfig.model_validate({"name": "temporal_conv", "filter_widths": [config.width]})
        self.inner = build_lifter(named, input_layout, output_layout)


def test_wrong_options_of_a_wrapped_lifter_are_a_line_and_no_traceback(tmp_path):
    with pytest.raises(UserError) as error:
        plan(tmp_path, lifter={"name": f"{__name__}:Wrapping", "width": 4})
    assert str(error.value) == (
        "lifter: TemporalConvConfig: filter_widths=[4]: filter widths are odd numbers from 1 on"
    )


def test_a_training_whose_tracks_are_known_reads_no_metadata(tmp_path, monkeypatch):
    config = small(write(tmp_path / "labeled", person("a", 60), person("b", 60, subject="S2")), None, tmp_path / "out")
    known, read = survey_tracks(config), run.prepare(config).plan
    monkeypatch.setattr(keypoint_reader, "survey", None)
    assert run.prepare(config, known).plan == read


def test_feet_in_tracks_are_read_only_if_asked_for(tmp_path):
    feet = np.zeros((40, 4, 2), np.float32)
    tracks = []
    for name, subject in (("a", "S1"), ("b", "S2")):
        track = person(name, 40, subject=subject)
        joints = np.concatenate([track.keypoints, feet], axis=1), np.ones((40, 21), np.float32)
        tracks.append(replace(track, layout="coco21", keypoints=joints[0], scores=joints[1]))
    labeled = str(write(tmp_path, *tracks))

    def read(**data):
        config = {"labeled": labeled, "output": str(tmp_path / "out"), "lifter": {"name": "temporal_conv"}}
        config |= {"data": {"validation_subjects": ["S2"]} | data, "objective": {"projection": "none"}}
        return plan_training(TrainConfig.model_validate(config)).input_layout.name

    assert read() == "coco17"
    assert read(input_layout="coco21") == "coco21"
