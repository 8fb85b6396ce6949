"""The tree of bones that animation programs expect: rooted at the pelvis, with a T-pose at rest.

Layouts of 3D motion have a pelvis and are such trees. In layouts of images (`coco17`, `blazepose33`) everything hangs
on the nose. They get a pelvis between the hips and a thorax between the shoulders; the thorax becomes a child of the
pelvis, shoulders and nose become children of the thorax.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from schemas.layouts import JointLayout

_Direction = tuple[int | float, int | float, int | float]

# The direction of the bone that ends in a joint, in a T-pose: x outwards (to the left), y up, z forward. Limbs and
# trunk follow the convention of animation programs; the other directions are roughly anatomical.
_REST: dict[str, _Direction] = {
    **dict.fromkeys(("pelvis", "spine", "thorax", "neck", "upper_neck", "head", "head_top"), (0, 1, 0)),
    **dict.fromkeys(("mid_hip", "mid_shoulder"), (0, 1, 0)),
    **dict.fromkeys(("hip", "shoulder", "elbow", "wrist"), (1, 0, 0)),
    **dict.fromkeys(("knee", "ankle"), (0, -1, 0)),
    "nose": (0, 0.9, 0.4),
    "eye_inner": (0.3, 0.8, -0.4),
    "eye": (0.6, 0.7, -0.4),
    "eye_outer": (1, 0, -0.3),
    "ear": (0.6, -0.2, -0.8),
    "mouth": (0.5, -0.8, -0.3),
    "pinky": (1, 0, -0.4),
    "index": (1, 0, 0.3),
    "thumb": (0.6, 0, 0.8),
    "heel": (0, -0.6, -0.8),
    **dict.fromkeys(("foot_index", "big_toe"), (0, -0.2, 1)),
    "small_toe": (0.3, -0.2, 0.9),
}
# Rotations of elbows and knees are computed from a half-bent pose: from a straight limb, the axis of the shortest
# rotation would be unstable when the limb is folded almost completely.
_BENT: dict[str, _Direction] = {"wrist": (0.5, 0, 0.87), "ankle": (0, -0.5, -0.87)}


@dataclass(frozen=True)
class Skeleton:
    """A tree of joints.

    Attributes:
        joints: Joint names.
        parents: Index of each joint's parent, -1 for the root.
        rest: Unit direction of the bone from the parent to each joint in the T-pose.
        bent: The same with knees and elbows half bent.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    rest: Float64[np.ndarray, "joints 3"]
    bent: Float64[np.ndarray, "joints 3"]

    @property
    def root(self) -> int:
        """Index of the pelvis."""
        return self.parents.index(-1)

    def children(self, joint: int) -> list[int]:
        """Indices of the children of a joint."""
        return [child for child, parent in enumerate(self.parents) if parent == joint]


def skeleton_of(layout: JointLayout) -> Skeleton:
    """The skeleton of a layout; if the layout has no pelvis, a pelvis and a thorax are appended to its joints."""
    joints, parents = layout.joints, list(layout.parents)
    if "pelvis" not in joints:
        pelvis, thorax = len(joints), len(joints) + 1
        joints, parents = (*joints, "pelvis", "thorax"), [*parents, -1, pelvis]
        for name, parent in (("hip", pelvis), ("shoulder", thorax)):
            parents[layout.index(f"left_{name}")] = parents[layout.index(f"right_{name}")] = parent
        parents[layout.parents.index(-1)] = thorax
    return Skeleton(joints, tuple(parents), _directions(joints, _REST), _directions(joints, _REST | _BENT))


def place_joints(
    layout: JointLayout, positions: Float64[np.ndarray, "frames joints 3"]
) -> Float64[np.ndarray, "frames skeleton_joints 3"]:
    """The positions of the skeleton's joints, from those of the layout's joints."""
    if "pelvis" in layout.joints:
        return positions
    middles = [
        positions[:, [layout.index(f"left_{name}"), layout.index(f"right_{name}")]].mean(axis=1, keepdims=True)
        for name in ("hip", "shoulder")
    ]
    return np.concatenate([positions, *middles], axis=1)


def _directions(joints: tuple[str, ...], table: Mapping[str, _Direction]) -> Float64[np.ndarray, "joints 3"]:
    sides = [joint.partition("_")[0] for joint in joints]
    vectors = np.array([table[joint.removeprefix("left_").removeprefix("right_")] for joint in joints])
    vectors[[side == "right" for side in sides], 0] *= -1
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
