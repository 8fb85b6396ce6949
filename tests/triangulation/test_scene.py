"""People before several cameras are told apart and placed, whatever goes wrong in one of the views."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from triangulation.scenes import FPS, LIMBS, rig, view_of, walk_of_limbs

from pipelines.triangulation.scene import Scene, reconstruct
from pipelines.triangulation.views import View
from schemas.errors import UserError

FRAMES = 60
ONE = walk_of_limbs(FRAMES)
TWO = ONE[::-1] * [-1, -1, 1] + [1.2, 0.4, 0]


def errors_mm(scene: Scene, truth: np.ndarray, person: int = 0) -> np.ndarray:
    """Distances (frames, joints) from where a person was at the common times."""
    frames = np.rint(scene.times_s * FPS).astype(int)
    return 1000 * np.linalg.norm(scene.people[person].positions - truth[frames], axis=-1)


def order(scene: Scene) -> list[int]:
    """Which of the two people each found person is."""
    frames = np.rint(scene.times_s * FPS).astype(int)
    return [
        int(np.argmin([np.nanmedian(abs(person.positions - truth[frames])) for truth in (ONE, TWO)]))
        for person in scene.people
    ]


@pytest.mark.parametrize(("cameras", "most_mm"), [(2, 25), (4, 12)])
def test_a_person_is_where_the_rays_meet(cameras, most_mm):
    scene = reconstruct([view_of(one, [ONE]) for one in rig(4)[:cameras]])
    assert errors_mm(scene, ONE).mean() < most_mm
    assert (scene.people[0].raw.views == cameras).mean() > 0.8
    assert np.median(scene.people[0].raw.residuals_px) < 3


def test_two_people_are_told_apart_in_whatever_order_views_list_them():
    views = [view_of(one, [ONE, TWO]) for one in rig(4)]
    views[1] = View(views[1].camera, views[1].tracks[::-1])
    scene = reconstruct(views)
    assert sorted(order(scene)) == [0, 1]
    for person, truth in enumerate(order(scene)):
        assert errors_mm(scene, (ONE, TWO)[truth], person).mean() < 12


def test_a_track_that_changes_to_somebody_else_is_followed_no_further():
    views = [view_of(one, [ONE, TWO]) for one in rig(4)]
    first, second = views[2].tracks
    keypoints = np.concatenate([first.keypoints[:30], second.keypoints[30:]])
    exchanged = np.concatenate([second.keypoints[:30], first.keypoints[30:]])
    views[2] = View(views[2].camera, [replace(first, keypoints=keypoints), replace(second, keypoints=exchanged)])
    scene = reconstruct(views)
    for person, truth in enumerate(order(scene)):
        assert errors_mm(scene, (ONE, TWO)[truth], person).mean() < 12
    assert (np.diff(scene.people[0].chosen, axis=1) != 0).sum() == 1, "its other half is taken from the other track"


def test_a_view_that_sees_a_joint_elsewhere_is_outvoted():
    views = [view_of(one, [ONE]) for one in rig(4)]
    wrong = views[0].tracks[0].keypoints.copy()
    wrong[:, LIMBS.index("left_wrist")] += 150
    scene = reconstruct([View(views[0].camera, [replace(views[0].tracks[0], keypoints=wrong)]), *views[1:]])
    wrist = errors_mm(scene, ONE)[:, LIMBS.index("left_wrist")]
    assert wrist.mean() < 15
    assert (scene.people[0].raw.views[:, LIMBS.index("left_wrist")] == 3).mean() > 0.9


def test_short_gaps_are_bridged_and_long_ones_are_not():
    views = []
    for view in (view_of(one, [ONE]) for one in rig(3)):
        scores = view.tracks[0].scores.copy()
        scores[10:14, 0] = scores[30:50, 1] = 0
        views.append(View(view.camera, [replace(view.tracks[0], scores=scores)]))
    positions = reconstruct(views).people[0].positions
    assert np.isfinite(positions[10:14, 0]).all()
    assert np.isnan(positions[32:48, 1]).all()


@pytest.mark.parametrize("late_s", [0.115, -0.2])
def test_a_late_clock_is_found_to_a_fraction_of_a_frame(late_s):
    cameras = rig(4)
    long = walk_of_limbs(150)
    views = [view_of(one, [long], late_s=late_s if number == 1 else 0.0) for number, one in enumerate(cameras)]
    scene = reconstruct(views, sync_window_s=0.5)
    offsets = {view.camera.name: offset for view, offset in zip(scene.views, scene.offsets_s, strict=True)}
    assert offsets["cam02"] - offsets["cam01"] == pytest.approx(late_s, abs=0.25 / FPS)
    assert offsets["cam03"] - offsets["cam01"] == pytest.approx(0, abs=0.25 / FPS)


def test_a_clock_that_is_later_than_the_window_is_one_line():
    long = walk_of_limbs(150)
    views = [view_of(one, [long], late_s=0.3 if number else 0.0) for number, one in enumerate(rig(2))]
    with pytest.raises(UserError, match="fits best at the edge of the search window of 3 frames"):
        reconstruct(views, sync_window_s=0.1)


def test_a_view_of_nobody_is_left_out_and_one_view_is_too_few():
    views = [view_of(one, [ONE]) for one in rig(3)]
    assert len(reconstruct([View(views[0].camera, []), *views[1:]]).views) == 2
    with pytest.raises(UserError, match="1 of the views saw anybody; positions need two"):
        reconstruct([views[0], View(views[1].camera, [])])


def test_a_calibration_of_other_cameras_is_one_line():
    first, second = (view_of(one, [ONE]) for one in rig(4)[:2])
    rolled = Rotation.from_euler("z", 25, degrees=True).as_matrix() @ second.camera.rotation
    other = replace(second.camera, rotation=rolled, translation=-rolled @ second.camera.centre)
    with pytest.raises(UserError, match="nobody was seen by two views at once"):
        reconstruct([first, View(other, second.tracks)])
