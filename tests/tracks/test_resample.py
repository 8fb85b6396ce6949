from dataclasses import replace

import numpy as np
import pytest
from track_samples import make_track, write_tracks

from pipelines.tracks.keypoint_reader import survey
from pipelines.tracks.resample import resample, resampled_lengths
from pipelines.tracks.selection import take
from schemas.errors import UserError


def moving(timestamps_s, fps):
    """A track whose every number grows by 100 a second."""
    frames = len(timestamps_s)
    values = (100 * timestamps_s).astype(np.float32)
    return make_track(
        frames=frames,
        fps=fps,
        timestamps_s=timestamps_s,
        keypoints=np.broadcast_to(values[:, None, None], (frames, 17, 2)).copy(),
        positions=np.broadcast_to(values[:, None, None], (frames, 17, 3)).copy(),
        boxes=np.broadcast_to(values[:, None], (frames, 4)).copy(),
    )


def test_the_same_rate_is_the_same_track():
    track = make_track(fps=50)
    assert resample(track, 50.0) is track
    ntsc = make_track(fps=30000 / 1001)
    assert resample(ntsc, 30.0) is ntsc
    milliseconds = make_track(frames=90, timestamps_s=np.round(np.arange(90) / 30, 3), fps=30)
    assert resample(milliseconds, 30.0) is milliseconds


@pytest.mark.parametrize("frames", [1, 20, 21, 22])
def test_half_the_rate_keeps_every_other_frame_to_the_bit(frames):
    track = make_track(frames=frames, fps=50)
    half, expected = resample(track, 25.0), take(track, slice(0, None, 2))
    for name in ("boxes", "box_scores", "keypoints", "scores", "interpolated", "positions"):
        assert np.array_equal(getattr(half, name), getattr(expected, name))
    assert half.timestamps_s == pytest.approx(expected.timestamps_s)


@pytest.mark.parametrize("fps", [10.0, 24.0, 50.0, 60.0])
def test_values_between_frames_are_linear_in_time(fps):
    irregular = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.06, 60))
    for track in (moving(np.arange(40) / 30, 30), moving(irregular, 1 / 0.035)):
        new = resample(track, fps)
        assert new.fps == fps
        assert np.diff(new.timestamps_s) == pytest.approx(1 / fps)
        assert new.timestamps_s[0] == track.timestamps_s[0]
        assert 0 <= track.timestamps_s[-1] - new.timestamps_s[-1] < 1 / fps
        assert new.positions is not None
        for values in (new.keypoints[:, 3, 1], new.positions[:, 5, 2], new.boxes[:, 0]):
            assert values == pytest.approx(100 * new.timestamps_s, abs=0.1)


def test_a_rate_right_on_average_only_is_resampled():
    times = np.delete(np.arange(60) / 30, [20, 40])
    new = resample(moving(times, 30), 30.0)
    assert len(new) == 60
    assert new.keypoints[:, 0, 0] == pytest.approx(100 * np.arange(60) / 30, abs=1e-3)


def test_interpolated_scores_are_the_lower_ones_of_both_neighbours():
    track = make_track(frames=3, fps=10, interpolated=np.array([False, True, False]))
    new = resample(track, 20.0)
    assert new.interpolated.tolist() == [False, True, True, True, False]
    assert np.array_equal(new.scores[1], np.minimum(track.scores[0], track.scores[1]))
    assert np.array_equal(new.scores[2], track.scores[1])


def test_without_timestamps_the_rate_counts():
    track = make_track(frames=11, fps=25, timestamps_s=np.zeros(11))
    assert resample(track, 25.0) is track
    assert len(resample(track, 50.0)) == 21


@pytest.mark.parametrize("fps", [float("nan"), 0.0])
def test_without_either_the_track_is_named(fps):
    with pytest.raises(UserError, match=r"^track t7: its frame rate is unknown .*; write the track again"):
        resample(make_track("t7", timestamps_s=np.full(20, np.nan), fps=fps), 50.0)
    unknown = replace(make_track(frames=20, fps=25), fps=fps)
    assert len(resample(unknown, 50.0)) == 39


def test_lengths_are_known_before_the_frames_are_read(tmp_path):
    tracks = [make_track(f"t{i}", 5 + i, fps=fps) for i, fps in enumerate([50, 25, 30, 59.94, 24, 50.2] * 4)]
    infos = survey(write_tracks(tmp_path / "a.parquet", tracks, row_group_size=5))[::-1]
    assert resampled_lengths(infos, 50.0) == [len(resample(track, 50.0)) for track in tracks[::-1]]


def test_a_timestamp_that_would_fill_the_memory_is_one_line(tmp_path):
    track = make_track("t7", frames=3, fps=25, timestamps_s=np.array([0.0, 0.04, 1e9]))
    with pytest.raises(
        UserError, match=r"^track t7: its frames are 5e\+08 s apart on average, too far for 50 frames/s"
    ):
        resample(track, 50.0)
    with pytest.raises(UserError, match=r"^track t7: its frames are"):
        resampled_lengths(survey(write_tracks(tmp_path / "a.parquet", [track])), 50.0)
