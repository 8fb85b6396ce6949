import numpy as np
import pytest
from track_samples import make_track

from pipelines.tracks.selection import Choice, choose, subset, subset_frames, take
from schemas.errors import UserError


def test_take_slices_all_arrays_over_frames():
    track = make_track(frames=20)
    part = take(track, slice(4, 15, 2))
    assert len(part) == 6
    assert (part.start_frame, part.fps) == (9, 25)
    for name in ("timestamps_s", "boxes", "box_scores", "keypoints", "scores", "interpolated", "positions"):
        assert np.array_equal(getattr(part, name), getattr(track, name)[4:15:2])
    assert take(make_track(positions=None), slice(0, 3)).positions is None


# Starts from `printf 1383 | sha256sum` (6495da52…) and `printf 1612 | sha256sum` (76ced5b5…), by hand.
@pytest.mark.parametrize(("frames", "start", "kept"), [(1383, 403, 138), (1612, 1031, 161)])
def test_a_subset_starts_where_the_length_says(frames, start, kept):
    assert subset_frames(frames, 0.1) == slice(start, start + kept, 1)


def test_a_subset_keeps_a_share_of_the_downsampled_frames():
    for frames in range(1, 200):
        for downsample in (1, 5):
            frames_kept = subset_frames(frames, 0.25, downsample)
            assert 0 <= frames_kept.start <= frames_kept.stop <= frames
            assert len(range(frames)[frames_kept]) == round(frames // downsample * 0.25)


def test_the_first_frames_on_request():
    assert subset_frames(1000, 0.1, start="first") == slice(0, 100, 1)
    assert len(subset(make_track(frames=40), 0.1, start="first")) == 4


def test_the_whole_track_is_only_strided():
    assert subset_frames(22, 1.0, 5) == slice(0, 22, 5)
    assert subset(make_track(frames=22, fps=50), 1.0, 5).fps == 10


def test_a_share_below_half_a_frame_is_empty():
    assert len(subset(make_track(frames=4), 0.1)) == 0


def test_unknown_names_are_said_with_the_nearest():
    tracks = [make_track(subject=subject) for subject in ("S1", "S5", "S11")] + [make_track(subject=None)]
    assert [track.subject for track in choose("x", tracks, Choice(subjects=["S1", "S11"]))] == ["S1", "S11"]
    with pytest.raises(UserError, match=r"^subjects: x has no track of subject S12; did you mean S1\?$"):
        choose("x", tracks, Choice(subjects=["S1", "S12"]))
    with pytest.raises(UserError, match=r"^cameras: x has no track of camera left; there are: C0$"):
        choose("x", tracks, Choice(cameras=["left"]))


def test_a_choice_that_no_track_matches_is_an_error():
    tracks = [make_track(subject="S1", camera="C0"), make_track(subject="S5", camera="C1")]
    with pytest.raises(UserError, match=r"^x: no track has all that is chosen, subjects=\[S1\] cameras=\[C1\]; choose"):
        choose("x", tracks, Choice(subjects=["S1"], cameras=["C1"]))
