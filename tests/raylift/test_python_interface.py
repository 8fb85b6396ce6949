"""Raylift in Python, as far as it needs no Ray."""

import subprocess
import sys

import numpy as np
import pytest
from tracks.lifted_samples import lifted, write_poses
from tracks.track_samples import make_track, write_tracks

import raylift


def test_tracks_are_a_row_for_each_person_with_arrays(tmp_path):
    write_tracks(tmp_path / "tracks", [make_track("a", frames=12), make_track("b", frames=7)])
    tracks = raylift.load_tracks(str(tmp_path / "tracks"))
    assert list(tracks.track_id) == ["a", "b"]
    first = tracks.iloc[0]
    assert first.keypoints.shape == (12, len(first.joints), 2)
    assert first.timestamps_s.dtype == np.float64


def test_poses_are_a_row_for_each_person_with_arrays(tmp_path):
    write_poses(tmp_path / "poses.parquet", [lifted()])
    (pose,) = (row for _, row in raylift.load_poses(str(tmp_path)).iterrows())
    assert pose.positions.shape == (len(pose.timestamps_s), len(pose.joints), 3)


def test_a_mistake_is_one_line(tmp_path):
    with pytest.raises(raylift.UserError, match=r"optimisation=.*: there is no such field; did you mean optimization"):
        raylift.train(str(tmp_path), "out", optimisation={"epochs": 1})
    with pytest.raises(raylift.UserError, match=r"^output: is required; give output=…$"):
        raylift.lift("clip.mp4")
    with pytest.raises(raylift.UserError, match="nowhere: no such file or folder"):
        raylift.load_tracks(str(tmp_path / "nowhere"))


def test_importing_it_is_light():
    code = "import sys, raylift; print([name for name in ('ray', 'torch', 'mlflow', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
