"""People are compared without place, size and, once lifted, the side from which they were filmed."""

from dataclasses import replace

import numpy as np
import pytest
from curation.clips import clip, mirror
from scipy.spatial.transform import Rotation
from tracks.lifted_samples import lifted

from pipelines.align.features import Features
from pipelines.align.moments import similar_moments
from pipelines.aligners.sequences import of_keypoints, of_lifted
from pipelines.tracks.normalised import LIMBS
from schemas.errors import UserError

CLIP = clip(0)


def test_a_sequence_has_the_times_of_its_video():
    track = replace(CLIP, timestamps_s=CLIP.timestamps_s + 12)
    person = of_keypoints(track)
    assert (person.start_s, len(person)) == (12, 90)
    assert person.part(13, 14).start_s == pytest.approx(13)
    assert person.part(13, 14).stop_s == pytest.approx(14)
    assert person.frame(99) == 89


def test_a_mirrored_picture_is_the_mirrored_sequence():
    np.testing.assert_allclose(of_keypoints(mirror(CLIP)).poses, of_keypoints(CLIP).mirrored().poses, atol=1e-4)


def test_joints_that_move_count_for_more():
    person = of_keypoints(CLIP)
    waving = replace(person, poses=person.poses[:1].repeat(30, 0))
    waving.poses[:, LIMBS.index("left_wrist"), 0] += np.sin(np.arange(30, dtype=np.float32))
    weights = waving.moving()
    assert weights.argmax() == LIMBS.index("left_wrist")
    assert weights.min() > 0.2
    assert np.mean(weights**2) == pytest.approx(1)
    still = replace(waving, poses=waving.poses[:1].repeat(30, 0))
    plain, weighted = (np.abs(waving.features(w) - still.features(w)).max() for w in (None, weights))
    assert weighted > 2 * plain


def test_joints_that_were_not_seen_are_between_those_that_were():
    scores = CLIP.scores.copy()
    scores[40:50] = 0
    gap, whole = of_keypoints(replace(CLIP, scores=scores)), of_keypoints(CLIP)
    assert np.isfinite(gap.poses).all()
    assert np.abs(gap.poses - whole.poses).max() < 1.0
    with pytest.raises(UserError, match="shoulders and hips are never seen together"):
        of_keypoints(replace(CLIP, scores=np.zeros_like(scores)))


def test_a_lifted_person_is_the_same_from_every_side():
    one = lifted()
    turn = Rotation.from_euler("y", 70, degrees=True).as_matrix().astype(np.float32)
    turned = of_lifted(replace(one, positions=1.3 * one.positions @ turn.T))
    straight = of_lifted(one)
    np.testing.assert_allclose(turned.poses, straight.poses, atol=1e-3)
    assert straight.trunk_m is not None
    assert turned.trunk_m == pytest.approx(1.3 * straight.trunk_m, rel=1e-4)


def test_the_most_similar_moment_is_the_same_one_in_a_copy():
    person = of_keypoints(CLIP)
    copy = replace(person, track_id="copy", start_s=100.0)
    among = [Features().of(one) for one in (person, copy, of_keypoints(clip(1)))]
    first, *others = similar_moments(among[0], person.frame(2.0), among, 4)
    assert (first.track_id, first.distance) == ("copy", 0)
    assert first.time_s == pytest.approx(102)
    assert len(others) == 3
    assert all(moment.track_id != "clip0" or abs(moment.time_s - 2) > 0.5 for moment in others)
