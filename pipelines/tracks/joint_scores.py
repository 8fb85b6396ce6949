"""How well each lifted joint was seen: the scores of the keypoints that determine it.

A lifter predicts all joints of a body, also those that the picture does not show: below the picture's edge, behind a
table. Their places are guesses from the rest of the body, which users of the poses must know.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32

from schemas.layouts import JointLayout

# A joint with a score below this was not seen.
UNSEEN = 0.3
# A joint counts as seen at all if it was seen in at least this share of the observed frames.
_SEEN_SHARE = 0.05
_HIPS, _SHOULDERS = ("left_hip", "right_hip"), ("left_shoulder", "right_shoulder")
# Joints of motion capture that detectors lack, and the keypoints around them, the best ones first.
_AROUND: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (_HIPS,),
    "spine": ((*_HIPS, *_SHOULDERS),),
    "thorax": (_SHOULDERS,),
    "neck": (_SHOULDERS,),
    "upper_neck": (_SHOULDERS,),
    "head": (("nose",), _SHOULDERS),
    "head_top": (("nose",), _SHOULDERS),
}


def joint_scores(
    scores: Float32[np.ndarray, "frames keypoints"], detected: JointLayout, read: JointLayout, body: JointLayout
) -> Float32[np.ndarray, "frames joints"]:
    """The score of each joint of a body, 0 to 1: of the keypoint of its name, or the mean of those around it.

    Args:
        scores: Of the keypoints.
        detected: Joint layout of the keypoints.
        read: Joint layout that the lifter reads; other keypoints do not count.
        body: Joint layout of the lifted joints.
    """
    known = set(detected.joints) & set(read.joints)

    def sources(joint: str) -> list[int]:
        candidates = ((joint,), *_AROUND.get(joint, ()), sorted(known))
        return [detected.index(name) for name in next(names for names in candidates if known.issuperset(names))]

    return np.stack([scores[:, sources(joint)].mean(axis=1) for joint in body.joints], axis=1)


def unseen_joints(
    scores: Float32[np.ndarray, "frames joints"], interpolated: Bool[np.ndarray, " frames"], joints: Sequence[str]
) -> list[str]:
    """Names of the joints that were seen in almost none of the frames in which the person was observed.

    Args:
        scores: Of the joints, as `joint_scores` gives them.
        interpolated: Whether the person was not observed in a frame.
        joints: Their names.
    """
    observed = scores[~interpolated]
    if not len(observed):
        return list(joints)
    often_visible = (observed >= UNSEEN).mean(axis=0) >= _SEEN_SHARE
    return [joint for joint, is_often_visible in zip(joints, often_visible, strict=True) if not is_often_visible]
