from dataclasses import replace

import numpy as np
import pytest
from train.training_samples import person

from pipelines.lift.timing import at_lifter_rate, at_times
from pipelines.tracks.selection import take
from schemas.errors import UserError


def test_frames_at_the_lifters_rate_stay_as_they_are():
    track = person("a", 40)
    assert at_lifter_rate(track, 50.0) is track


def test_slower_frames_are_interpolated_up_to_the_last_one():
    track = take(person("a", 40), slice(0, None, 2))
    faster = at_lifter_rate(track, 50.0)
    assert len(faster) == 39
    assert faster.timestamps_s[-1] == track.timestamps_s[-1]
    assert (faster.keypoints[::2] == track.keypoints).all()


@pytest.mark.parametrize("fps", [7.0, 30.0, 48.0, 49.0, 60.0, 240.0])
@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_every_recorded_time_lies_between_two_frames(fps, frames):
    track = person("a", frames)
    at_rate = at_lifter_rate(track, fps)
    assert at_rate.timestamps_s[0] == track.timestamps_s[0]
    assert at_rate.timestamps_s[-1] == pytest.approx(track.timestamps_s[-1], abs=1e-3 / fps)
    assert np.allclose(at_rate.keypoints[-1], track.keypoints[-1], atol=1e-2)
    steps = np.diff(at_rate.timestamps_s) * fps
    assert (steps[:-1] == pytest.approx(1)) or len(track) < 3 or at_rate is track


def test_frames_too_far_apart_are_refused_before_they_fill_the_memory():
    track = person("a", 3)
    hostile = replace(track, timestamps_s=np.array([0, 1, 1e12]))
    with pytest.raises(UserError, match=r"track a: its frames are 5e\+11 s apart on average, too far for 50"):
        at_lifter_rate(hostile, 50.0)


def test_a_linear_motion_is_restored_at_any_time():
    times = np.array([0.0, 0.02, 0.04, 0.05])
    values = np.stack([times, 1 - times], axis=1).astype(np.float32)
    at = np.array([0.0, 0.013, 0.02, 0.031, 0.049, 0.05])
    result = at_times(values, times, at)
    assert result == pytest.approx(np.stack([at, 1 - at], axis=1), abs=1e-6)
    assert at_times(values[:1], times[:1], np.array([0.0])).tolist() == [[0.0, 1.0]]
    assert at_times(values, times, np.array([-1.0, 9.0])).tolist() == values[[0, -1]].tolist()
