"""Numbers that cannot be those of people are refused with what they say; everything that people do passes."""

from dataclasses import replace

import numpy as np
import pytest
from moving_people import H36M, camera, track, walking

from pipelines.datasets.body_measures import Body
from pipelines.datasets.mocap17 import Mocap17
from pipelines.datasets.plausibility import Plausibility, whole_parts
from pipelines.tracks.selection import take
from schemas.errors import UserError

SWAPPED = list(H36M.mirror)


def verdict(*tracks, from_pictures=True) -> list[str]:
    check = Plausibility(from_pictures)
    for one in tracks:
        check.add(one)
    return check.verdict()


def views(motion, change=lambda keypoints: keypoints, cameras=(0, 1, 2, 3)):
    """The motion as four cameras see it; keypoints are changed, and may be those of other cameras."""
    return [track(motion, n, keypoints=change(camera(c).project(motion))) for n, c in enumerate(cameras)]


def test_a_person_who_walks_passes():
    assert verdict(*views(walking(200))) == []
    assert Body(walking(), H36M).stature() == pytest.approx(1.63, abs=0.02)


@pytest.mark.parametrize(
    ("file", "layout"), [("cmu_mocap_17j", "h36m17"), ("mocap_extra_17j", "h36m17"), ("mocap_extra_17j", "limbs12")]
)
def test_everybody_in_real_recordings_passes(shared_data, file, layout):
    positions = str(shared_data / "mocap" / f"{file}.npz")
    source = Mocap17(Mocap17.Config(positions=positions, layout=layout, views=1))
    assert all("could not be checked" in note for note in verdict(*source.tracks(), from_pictures=False))
    assert source.notes == []


def test_a_person_who_sneaks_passes():
    """Bent by more than 60 degrees, which is no other axis that points up."""
    lean = np.deg2rad(62)
    turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    upright, bent = views(walking(200)), views(walking(200) @ turn.T)
    assert verdict(*upright, *(replace(one, subject="S2") for one in bent), from_pictures=False) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda m: m * 1000,
            r"S1 is 1,6\d\d m tall from the ankles to the head, 0.5 to 2.6 m are possible; .*source.unit",
        ),
        (lambda m: m * 0.1, r"S1 is 0.16\d* m tall"),
        (lambda m: m * (1, 1, -1) + (0, 0, 2), r"heads are above ankles in 0% of the frames, .* give source.up"),
        (lambda m: m[:, :, [0, 2, 1]] * (1, 1, -1), r"heads are above ankles in"),
        (
            lambda m: m * (-1, 1, 1),
            r"the knees of S1 bend forward in 0% of \d+ frames, at least 50% are expected; left and",
        ),
        (lambda m: m[:, SWAPPED], r"the knees of S1 bend forward in 0%"),
        (
            lambda m: m[:, [SWAPPED[j] if "shoulder" in H36M.joints[j] else j for j in range(17)]],
            r"the shoulders of S1 are the same way round as the hips in 0% of the frames",
        ),
        (
            lambda m: np.random.default_rng(0).permuted(m, axis=1),
            r"the limbs of S1 change their length by \d+%, at most 25%",
        ),
        (lambda m: m + np.array([0, 0, 50]), r"within reach of its picture in 0% of the frames"),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_what_they_are(change, line):
    with pytest.raises(UserError, match=line) as error:
        verdict(*views(change(walking(200))), from_pictures=False)
    assert "give source.check=false to import it as it is" in str(error.value)


def test_a_rate_at_which_nobody_can_move_is_refused():
    walker = track(walking(200))
    fast = replace(walker, fps=walker.fps * 50, timestamps_s=walker.timestamps_s / 50)
    with pytest.raises(UserError, match=r"S1 moves at \d\d m/s in most frames, at most 15 m/s are possible; the"):
        verdict(fast, from_pictures=False)
    assert verdict(take(walker, slice(0, 1)), from_pictures=False) == verdict(
        take(fast, slice(0, 1)), from_pictures=False
    )


def test_a_person_with_other_axes_than_the_others_is_named():
    motion = walking(200)
    upright, turned = views(motion), views(motion[:, :, [0, 2, 1]] * (1, 1, -1) + (0, 0, 1))
    others = [replace(one, subject="S2") for one in turned]
    with pytest.raises(
        UserError, match="source: S2 point sideways or down from the ankles to the head, and the others"
    ):
        verdict(*upright, *views(motion), *others, from_pictures=False)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda k: k / 2, r"scaling them by 2\.?0* \(another resolution\) makes it 0\.\d px"),
        (
            lambda k: k / 500 - 1,
            r"scaling them by 500 and moving them by \(500, 500\) px \(normalised, or cut\) makes it 0\.\d",
        ),
        (lambda k: k + np.array([150, 0]), r"scaling them by 1 and moving them by \(-150, [-0.e\d]+\) px"),
        (lambda k: k[:, SWAPPED], r"swapping left and right makes it 0\.\d px"),
        (lambda k: (1000, 0) + (-1, 1) * k, r"mirroring the pictures makes it 0\.\d px"),
    ],
)
def test_keypoints_of_other_pictures_are_refused_with_what_explains_them(change, line):
    with pytest.raises(UserError, match=line) as error:
        verdict(*views(walking(200), change))
    assert "px (median) from the projected joints, at most" in str(error.value)


def test_cameras_in_another_order_are_named():
    with pytest.raises(
        UserError, match=r"taking them for those of camera C1 \(cameras are in another order\) makes it 0"
    ):
        verdict(*views(walking(200), cameras=(1, 0, 2, 3)))


def test_keypoints_of_other_frames_are_refused_with_how_many():
    motion = walking(220)

    def late(frames):
        return [replace(track(motion[:200], n), keypoints=track(motion[frames:][:200], n).keypoints) for n in range(4)]

    with pytest.raises(
        UserError, match=r"taking them for those of 12 frames later \(shifted in time\) makes it 0.0 px"
    ):
        verdict(*late(12))
    with pytest.raises(
        UserError, match=r"keypoints are \S+ px \(median\) .* from those of 3 frames later: they are shifted"
    ):
        verdict(*late(3))


def test_detections_of_usual_quality_pass_and_a_bad_recording_is_noted():
    rng = np.random.default_rng(0)
    good = views(walking(200), lambda k: k + rng.standard_t(3, k.shape) * 4)
    bad = replace(
        track(walking(200), 0, keypoints=camera(0).project(walking(200) + 0) + np.array([80, 0])),
        video="film/S1/bad/C0",
    )
    assert verdict(*good, *good, bad) == ["film/S1/bad/C0: keypoints are 80 px from the projected joints (median)"]


def test_without_intrinsics_the_pictures_are_fitted():
    def unknown(change):
        calibrated = views(walking(200), change)
        return [replace(t, intrinsics=None, intrinsics_provenance="none") for t in calibrated]

    assert verdict(*unknown(lambda k: k)) == []
    with pytest.raises(
        UserError, match=r"camera C0 are not in pixels of a picture of 1000x1000: their middle is at \(0"
    ):
        verdict(*unknown(lambda k: k / 500 - 1))
    with pytest.raises(UserError, match="they are mirrored or upside down"):
        verdict(*unknown(lambda k: (1000, 0) + (-1, 1) * k))
    swapped = [replace(t, intrinsics=None) for t in views(walking(200), cameras=(1, 0, 2, 3))]
    with pytest.raises(UserError, match=r"px \(median\) from the projected joints"):
        verdict(*swapped)


def test_frames_with_missing_or_jumping_joints_are_left_out():
    motion = walking(60)
    motion[10, 3] = np.nan
    motion[30, 16] = (40, 40, 40)
    parts = list(whole_parts(track(motion)))
    assert [(part.start_frame, len(part)) for part in parts] == [(0, 10), (11, 19), (31, 29)]
    assert len({part.track_id for part in parts}) == 3
    assert [len(part) for part in whole_parts(track(motion), check=False)] == [10, 49]
    (whole,) = whole_parts(track(walking(60)))
    assert len(whole) == 60


def test_of_people_who_keep_their_knees_straight_it_is_told_that_sides_are_unknown():
    standing = np.repeat(walking(1), 200, axis=0)
    assert verdict(*views(standing)) == ["left and right of S1 could not be checked: their knees are hardly ever bent"]


def test_a_take_in_another_unit_than_the_others_is_refused_by_name():
    good, motion = views(walking(200)), walking(200)
    takes = [replace(one, action=f"take {n}") for n, one in enumerate(good)]
    assert verdict(*takes, from_pictures=False) == []
    for factor in (1000, 100, 0.001, 0.39):
        other = replace(track(motion * factor), action="lifted")
        with pytest.raises(
            UserError, match=r"S1 is \S+ m tall .* in lifted, and 1\.6\d* m in the other takes; 0\.5 to"
        ):
            verdict(*takes, other, from_pictures=False)


def test_a_video_without_keypoints_is_refused_by_name():
    def unseen(one, share):
        scores = one.scores.copy()
        scores[: round(share * len(scores))] = 0
        return replace(one, scores=scores, video="film/S1/dark/C0")

    good = views(walking(200))
    with pytest.raises(UserError, match=r"fewer than 5% of the keypoints of film/S1/dark/C0 are known, the others are"):
        verdict(*good, unseen(good[0], 1.0))
    with pytest.raises(UserError, match="film/S1/dark/C0 are known"):
        verdict(replace(unseen(good[0], 1.0), positions=None, positions_layout=None))
    assert verdict(*good, unseen(good[0], 0.9)) == []
    # A short part of a video may be unseen.
    assert verdict(*good, unseen(good[0], 0.5), unseen(good[0], 1.0)) == []
