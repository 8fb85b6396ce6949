"""Trouble with exported motion that people report to the makers of mocap tools, add-ons and formats."""

import io

import numpy as np
import pytest
from tracks.lifted_samples import lifted, standing, walking_away

from pipelines.export.bvh import bvh_text
from pipelines.export.npz import npz_bytes
from pipelines.export.trc import trc_text
from pipelines.tracks.levelling import levelled, levelling_of
from schemas.configs.export import TrcConfig
from schemas.layouts import layout

H36M = layout("h36m17")


def frame_time_s(text: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith("Frame Time:")).split()[-1])


@pytest.mark.parametrize("fps", [24.0, 29.476, 31.088, 120.0])
def test_a_bvh_states_the_rate_of_the_recording(fps):
    track = lifted(40, fps=fps, timestamps_s=np.arange(40) / fps)
    assert frame_time_s(bvh_text(track)) == pytest.approx(1 / fps, rel=1e-4)


def test_a_bvh_is_in_metres():
    offsets = [line.split()[1:] for line in bvh_text(walking_away()).splitlines() if "OFFSET" in line]
    longest = max(np.linalg.norm([float(value) for value in offset]) for offset in offsets)
    assert 0.2 < longest < 1.0, "the longest bone of a person, in metres"


def test_in_a_bvh_heads_are_above_feet():
    text = bvh_text(walking_away())
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("Frame Time:")) + 1
    assert all(float(line.split()[1]) > -1.6 for line in lines[start:]), "y is up: the root is above what it stands on"
    assert walking_away().positions[:, H36M.index("left_shoulder"), 1].max() < 0, "the camera's y points down"


def test_feet_stand_on_the_floor_and_not_below():
    track = standing()
    placed = levelled(track, levelling_of([track]))
    assert placed.trajectory is not None
    ankles = [H36M.index("left_ankle"), H36M.index("right_ankle")]
    np.testing.assert_allclose((placed.positions + placed.trajectory[:, None])[:, ankles, 1], 0, atol=0.02)


def test_a_trc_has_a_number_in_every_cell_though_joints_were_not_seen():
    unseen = np.full((30, 17), 0.9, np.float32)
    unseen[:, 1:4] = 0
    text = trc_text(lifted(30, joint_scores=unseen, interpolated=np.arange(30) > 20), TrcConfig())
    rows = [line.split("\t") for line in text.splitlines()[5:] if line.strip()]
    assert len(rows) == 30
    assert all(np.isfinite([float(value) for value in row if value]).all() for row in rows)
    assert "nan" not in text.lower()


def test_times_of_a_film_of_no_constant_rate_are_its_own():
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.09, 30))
    with np.load(io.BytesIO(npz_bytes(lifted(30, timestamps_s=times_s)))) as arrays:
        np.testing.assert_array_equal(arrays["timestamps_s"], times_s)
