"""A lifter and labels of other joints are compared in those that can be had of both."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluate.lifter_samples import make_lifter
from train.training_samples import person, write

from pipelines.evaluate.evaluation import evaluate
from pipelines.evaluate.report import make_report
from pipelines.lifters.model import build_model
from pipelines.pose.middles import joints_from, poses_from
from pipelines.tracks.keypoint_reader import survey
from schemas.configs.evaluate import EvaluateConfig
from schemas.job_config import PluginConfig
from schemas.layouts import layout

H36M, LIMBS14 = layout("h36m17"), layout("limbs14")


def in_limbs14(track):
    matrix = joints_from(H36M, LIMBS14)
    assert matrix is not None
    return replace(track, positions=(matrix @ track.positions).astype(np.float32), positions_layout="limbs14")


def test_middles_are_means_and_what_cannot_be_had_is_none():
    matrix = joints_from(H36M, LIMBS14)
    assert matrix is not None
    points = np.random.default_rng(0).normal(size=(17, 3))
    middle = points[[H36M.index("left_hip"), H36M.index("right_hip")]].mean(0)
    assert (matrix @ points)[0] == pytest.approx(middle)
    poses = poses_from(H36M, LIMBS14)
    assert poses is not None
    assert poses @ points == pytest.approx(matrix @ points - middle)
    assert joints_from(LIMBS14, H36M) is None


@pytest.mark.parametrize("trajectory", [True, False])
def test_labels_with_fewer_joints_are_compared_in_theirs(trajectory, tmp_path):
    model, card = make_lifter(trajectory)
    given = evaluate(model, card, [in_limbs14(person("a"))])
    assert given.overall is not None
    assert len(given.overall.per_joint_mm) == 14
    assert given.overall.per_joint_mm[0] == pytest.approx(0, abs=1e-3), "the middle of the hips is the root"
    assert ("trajectory_mm" in given.overall.metrics) == trajectory
    tracks = survey(write(tmp_path / "tracks", in_limbs14(person("a"))))
    report = make_report(EvaluateConfig(model="m", data="d"), card, tracks, given)
    assert list(report["overall"]["per_joint_mm"]) == list(LIMBS14.joints)
    assert "compared in the joints of limbs14" in report["notes"]


def test_a_lifter_of_fewer_joints_is_compared_with_whole_labels_as_with_its_own():
    plugin = PluginConfig.model_validate({"name": "temporal_conv", "filter_widths": [3, 3], "channels": 32})
    torch.manual_seed(0)
    model = build_model(plugin, H36M, LIMBS14, trajectory=False).eval()
    card = make_lifter(trajectory=False)[1].model_copy(update={"output_layout": "limbs14"})
    whole = evaluate(model, card, [person("a")]).overall
    own = evaluate(model, card, [in_limbs14(person("a"))]).overall
    assert whole is not None
    assert own is not None
    assert whole.metrics == pytest.approx(own.metrics, rel=1e-4)
