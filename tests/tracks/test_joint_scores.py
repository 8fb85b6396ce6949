"""Which joints of a lifted body were seen, and which are guesses."""

import numpy as np

from pipelines.tracks.joint_scores import joint_scores, unseen_joints
from schemas.layouts import layout

COCO, LIMBS, BODY = layout("coco17"), layout("limbs12"), layout("h36m17")


def scores_of(**low):
    """Scores of three frames of COCO keypoints: 0.9, but for those that are given."""
    scores = np.full((3, len(COCO)), 0.9, np.float32)
    for joint, score in low.items():
        scores[:, COCO.index(joint)] = score
    return scores


def test_a_joint_has_the_score_of_the_keypoint_of_its_name():
    scores = joint_scores(scores_of(left_knee=0.2), COCO, COCO, BODY)
    assert np.allclose(scores[:, BODY.index("left_knee")], 0.2)
    assert np.allclose(scores[:, BODY.index("right_knee")], 0.9)


def test_joints_that_no_detector_has_get_the_score_of_those_around_them():
    scores = joint_scores(scores_of(left_hip=0.1, right_hip=0.3, nose=0.5), COCO, COCO, BODY)
    assert np.allclose(scores[:, BODY.index("pelvis")], 0.2)
    assert np.allclose(scores[:, BODY.index("head")], 0.5)


def test_keypoints_that_the_lifter_does_not_read_do_not_count():
    scores = joint_scores(scores_of(nose=0.0), COCO, LIMBS, BODY)
    assert np.allclose(scores[:, BODY.index("head")], 0.9), "from the shoulders"


def test_a_joint_of_an_unknown_kind_gets_the_mean_of_all():
    assert np.allclose(joint_scores(scores_of(), COCO, LIMBS, layout("blazepose33")), 0.9)


def test_joints_that_are_never_seen_are_named():
    scores = joint_scores(scores_of(left_ankle=0.0, right_ankle=0.1), COCO, COCO, BODY)
    assert unseen_joints(scores, np.zeros(3, bool), BODY.joints) == ["right_ankle", "left_ankle"]


def test_interpolated_frames_do_not_count():
    scores = joint_scores(scores_of(left_ankle=0.0), COCO, COCO, BODY)
    scores[0] = 0
    assert unseen_joints(scores, np.array([True, False, False]), BODY.joints) == ["left_ankle"]
    assert unseen_joints(scores, np.ones(3, bool), BODY.joints) == list(BODY.joints)
