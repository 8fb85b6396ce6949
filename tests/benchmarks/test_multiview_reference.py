"""Joints of the triangulated reference that jump are missing, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def jumps(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import multiview_reference

    return multiview_reference.jumps


def swinging(frames=60, joints=3):
    """Joints that swing by 0.4 m, at 3 m/s at most and 60 frames/s."""
    time_s = np.arange(frames)[:, None, None] / 60
    return np.broadcast_to(0.4 * np.sin(2 * np.pi * 0.7 * time_s), (frames, joints, 3)).copy()


def test_real_movement_does_not_jump(jumps):
    assert not jumps(swinging()).any()


def test_frames_that_are_off_jump(jumps):
    positions = swinging()
    positions[[20, 21, 40], [1, 1, 2], 2] += 0.4
    assert np.argwhere(jumps(positions)).tolist() == [[20, 1], [21, 1], [40, 2]]


def test_joints_that_are_missing_are_no_jumps(jumps):
    positions = swinging()
    positions[10:30, 0] = np.nan
    positions[:, 2] = np.nan
    assert not jumps(positions).any()
