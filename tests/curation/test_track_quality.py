"""Junk is told from good tracks by measures, and each reason names value, rule and bound."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from curation.clips import clip, cut
from datasets.moving_people import H36M

from pipelines.curation.quality import fault, measure
from pipelines.tracks.normalised import limbs, mirrored, normalised_poses
from schemas.configs.curate import QualityConfig

CLIP = clip(0)
RNG = np.random.default_rng(0)


def reason(track, **bounds):
    return fault(asdict(measure(limbs(track))), QualityConfig(**bounds))


def some_swapped():
    keypoints = CLIP.keypoints.copy()
    some = RNG.random(len(CLIP)) < 0.4
    keypoints[some] = keypoints[some][:, list(H36M.mirror)]
    return replace(CLIP, keypoints=keypoints)


def still():
    errors = RNG.normal(0, 1.5, CLIP.keypoints.shape)
    return replace(CLIP, keypoints=(CLIP.keypoints[:1] + errors).astype(np.float32))


def half_unseen():
    return replace(CLIP, scores=CLIP.scores * (np.arange(len(CLIP)) % 5 < 2)[:, None].astype(np.float32))


def of_other_joints():
    """The keypoints of joints that do not belong together."""
    order = [7, 13, 2, 3, 9, 5, 16, 0, 8, 6, 10, 4, 12, 1, 14, 15, 11]
    return replace(CLIP, keypoints=CLIP.keypoints[:, order])


def noisy():
    errors = RNG.normal(0, 25, CLIP.keypoints.shape)
    return replace(CLIP, keypoints=(CLIP.keypoints + errors).astype(np.float32))


JUNK = {
    "short: 0.4 s (quality.min_seconds=0.5)": lambda: cut(CLIP, 0, 10),
    "unobserved: 0.6 ": lambda: replace(CLIP, interpolated=np.arange(len(CLIP)) % 10 < 6),
    "low scores: 0.2 ": lambda: replace(CLIP, scores=np.full_like(CLIP.scores, 0.2)),
    "low scores: 0 ": half_unseen,
    "tiny: ": lambda: replace(CLIP, keypoints=CLIP.keypoints * np.float32(0.03)),
    "proportions: ": of_other_joints,
    "jitter: ": noisy,
    "swapped sides: 0.": some_swapped,
    "still: 0.0": still,
}


def test_a_good_track_breaks_no_rule():
    assert reason(CLIP) is None
    assert reason(CLIP, min_seconds=7) == "short: 6 s (quality.min_seconds=7)"
    assert reason(cut(CLIP, 0, 10), min_seconds=None) is None
    assert (
        reason(half_unseen(), min_score=None)
        == "missing joints: 0.6 of the limbs are not seen (quality.max_missing=0.5)"
    )


@pytest.mark.parametrize("beginning", JUNK)
def test_junk_is_rejected_with_its_reason(beginning):
    rejection = reason(JUNK[beginning]())
    assert rejection is not None
    assert rejection.startswith(beginning)


def test_a_track_whose_trunk_is_never_seen_is_rejected_not_measured():
    scores = CLIP.scores.copy()
    scores[:, H36M.index("left_hip")] = 0
    rejection = reason(replace(CLIP, scores=scores))
    assert rejection == "proportions: cannot be measured, because shoulders and hips are never seen together"


def test_poses_do_not_depend_on_the_place_and_size_of_the_person():
    poses = normalised_poses(limbs(CLIP))
    elsewhere = replace(CLIP, keypoints=CLIP.keypoints * np.float32(0.5) + np.array([300, 20], np.float32))
    np.testing.assert_allclose(normalised_poses(limbs(elsewhere)), poses, atol=1e-4)
    np.testing.assert_allclose(mirrored(mirrored(poses)), poses)


def test_the_bone_lengths_of_lifted_tracks_are_judged_where_they_are_known():
    bounds = QualityConfig(max_bone_length_deviation=0.1)
    known = {**asdict(measure(limbs(CLIP))), "bone_length_deviation": 0.2}
    assert fault(known, bounds) == (
        "bone lengths: 0.2 is their median deviation once lifted (quality.max_bone_length_deviation=0.1)"
    )
    assert fault(known | {"bone_length_deviation": None}, bounds) is None
