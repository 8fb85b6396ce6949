from dataclasses import replace

import numpy as np
import pytest
from datasets.moving_people import camera, track, walking
from fit_noise.test_estimates import MADE
from tracks.track_samples import write_tracks

from jobs.command_line.arguments import read_config
from pipelines.fit_noise import run
from pipelines.fit_noise.skeletons import LIMBS, proportions, refit
from pipelines.io import json_documents
from pipelines.pose.joint_map import joint_map
from schemas.configs.made_views import DetectorErrorsConfig
from schemas.configs.train import TrainConfig
from schemas.errors import UserError
from schemas.layouts import layout

H36M = layout("h36m17")


@pytest.fixture
def labeled(tmp_path):
    """Tracks of people who walk, with noisy keypoints, on disk."""
    rng, tracks = np.random.default_rng(0), []
    for number in range(4):
        keypoints = camera(number).project(walking()) + rng.normal(0, 2, (60, 17, 2))
        tracks.append(track(walking(), number, keypoints=keypoints))
    return write_tracks(tmp_path / "labeled" / "a.parquet", tracks)


def test_the_recipe_is_part_of_a_training(labeled, tmp_path):
    report = run.fit([labeled], None, str(tmp_path / "noise"))
    config = read_config(TrainConfig, ["everyday", str(tmp_path / "noise" / "recipe.yaml"), "labeled=a", "output=b"])
    assert config.data.world.errors.model_dump() == report["errors"]
    assert config.data.world.enabled
    # 2 px of a person of 1.7 m at 4 m, seen with a focal length of about 1,130 px.
    assert config.data.world.errors.knee.white == pytest.approx(2 / 1130 * 4 / 1.7, rel=0.2)
    written = json_documents.read(str(tmp_path / "noise" / "report.json"))
    curve = written["variograms"]["knee"]
    assert curve["measured"] == pytest.approx(curve["estimated"], rel=0.3)


def test_too_few_tracks_and_mixed_rates_are_refused(labeled, tmp_path):
    alone = write_tracks(tmp_path / "one" / "a.parquet", [track(walking())])
    with pytest.raises(UserError, match="1 tracks do not tell how a detector's errors vary; give at least 3"):
        run.fit([alone], None, str(tmp_path / "noise"))
    fast = write_tracks(tmp_path / "fast" / "a.parquet", [replace(track(walking()), fps=100.0)])
    with pytest.raises(UserError, match="frame rates of 50 to 100 frames/s"):
        run.fit([labeled, fast], None, str(tmp_path / "noise"))


def test_the_joint_map_of_another_skeleton_leads_to_the_same_proportions():
    studio = walking().astype(np.float64)
    detected = proportions(joint_map(H36M, LIMBS.joints, MADE) @ studio)
    other = studio.copy()
    for side in ("left", "right"):
        hip = other[:, H36M.index(f"{side}_hip")]
        hip += 0.1 * (other[:, H36M.index(f"{side}_knee")] - hip)
    refitted = refit(MADE, detected, [(other, H36M)])
    after = proportions(joint_map(H36M, LIMBS.joints, refitted) @ other)
    before = proportions(joint_map(H36M, LIMBS.joints, DetectorErrorsConfig()) @ other)
    assert np.abs(after - detected).max() < 0.2 * np.abs(before - detected).max()
    assert refitted.hip.slow == MADE.hip.slow
