"""Joint layouts: the names and the order of the joints in an array.

Every array of joints is stored with the name of its layout. `LAYOUTS` is the table of layouts. `joint_indices` maps
one layout to another by joint name, and refuses if the source lacks a joint.
"""

from dataclasses import dataclass
from types import MappingProxyType

from schemas.errors import UserError


@dataclass(frozen=True)
class JointLayout:
    """A named, ordered set of joints.

    Attributes:
        name: Name under which data and models refer to it.
        joints: Joint names in array order; the same body point has the same name in every layout.
        parents: Index of each joint's parent, -1 for a root. Image-only layouts use it to draw bones.
        oks_sigmas: Standard deviation of each joint for object keypoint similarity, as a fraction of the square root of
            the person's area (COCO's constants where COCO has the joint); empty if unknown.
        extends: The layout whose joints come first, if the others are feet that are only carried along: they tell
            nobody apart, count in no mean score, and no lifter reads them unless it is asked to. "" if there is none.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    oks_sigmas: tuple[float, ...] = ()
    extends: str = ""

    def __len__(self) -> int:
        """Number of joints."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint by name."""
        return self.joints.index(joint)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) for every joint that has a parent."""
        return tuple((child, parent) for child, parent in enumerate(self.parents) if parent >= 0)

    @property
    def sided_bones(self) -> tuple[tuple[int, int, str], ...]:
        """(child, parent, side) for every bone; the side is that of the child: "left", "right" or "centre"."""
        return tuple((child, parent, _side(self.joints[child])) for child, parent in self.bones)

    @property
    def left_right(self) -> tuple[tuple[int, int], ...]:
        """(left, right) index pairs."""
        return tuple(
            (i, self.index("right" + name[4:])) for i, name in enumerate(self.joints) if name.startswith("left")
        )

    @property
    def mirror(self) -> tuple[int, ...]:
        """The permutation that swaps left and right; applying it twice is the identity."""
        order = list(range(len(self)))
        for left, right in self.left_right:
            order[left], order[right] = right, left
        return tuple(order)


def _side(joint: str) -> str:
    return next((side for side in ("left", "right") if joint.startswith(side)), "centre")


_COCO17 = JointLayout(
    "coco17",
    (
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
        *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
        *("left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    (-1, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
    # OKS sigmas of COCO: pycocotools' constants, which are already divided by ten there.
    (
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
)

# Human3.6M's 32 joints without the 15 static ones; the shoulders hang on the thorax (Pavllo et al. 2019).
_H36M17 = JointLayout(
    "h36m17",
    (
        *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("spine", "thorax", "neck", "head", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_shoulder", "right_elbow", "right_wrist"),
    ),
    (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
)

_MPII16 = JointLayout(
    "mpii16",
    (
        *("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle"),
        *("pelvis", "thorax", "upper_neck", "head_top"),
        *("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist"),
    ),
    (1, 2, 6, 6, 3, 4, -1, 6, 7, 8, 11, 12, 7, 7, 13, 14),
)

_HUMANEVA15 = JointLayout(
    "humaneva15",
    (
        *("pelvis", "thorax", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_shoulder", "right_elbow", "right_wrist", "left_hip", "left_knee", "left_ankle"),
        *("right_hip", "right_knee", "right_ankle", "head"),
    ),
    (-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1),
)

_BLAZEPOSE33 = JointLayout(
    "blazepose33",
    (
        *("nose", "left_eye_inner", "left_eye", "left_eye_outer"),
        *("right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear"),
        *("left_mouth", "right_mouth", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
        *("left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index"),
        *("left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee"),
        *("left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index", "right_foot_index"),
    ),
    (
        *(-1, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0, 0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16),
        *(11, 12, 23, 24, 25, 26, 27, 28, 29, 30),
    ),
    # Each joint has COCO's value for the nearest COCO joint.
    (
        *(0.026, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025, 0.035, 0.035, 0.026, 0.026, 0.079, 0.079),
        *(0.072, 0.072, 0.062, 0.062, 0.062, 0.062, 0.062, 0.062, 0.062, 0.062, 0.107, 0.107),
        *(0.087, 0.087, 0.089, 0.089, 0.089, 0.089, 0.089, 0.089),
    ),
)

# The joints that every detector and every motion capture has; each may differ by some centimetres on the body.
_LIMBS12 = JointLayout(
    "limbs12",
    (
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    (-1, 0, 0, 1, 2, 3, 0, 1, 6, 7, 8, 9),
    # COCO's OKS sigmas of these joints.
    (0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)

# The joints of limbs12, and the middles of hips and shoulders. Poses in space need the first, mid_hip, as their root.
_LIMBS14 = JointLayout(
    "limbs14",
    ("mid_hip", "mid_shoulder", *_LIMBS12.joints),
    (-1, 0, 1, 1, 2, 3, 4, 5, 0, 0, 8, 9, 10, 11),
)

# OpenPose's middle joints are the means of shoulders and hips of its training data; its eyes and ears are COCO's.
_BODY25 = JointLayout(
    "body25",
    (
        *("nose", "mid_shoulder", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "mid_hip", "right_hip", "right_knee", "right_ankle"),
        *("left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
        *("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"),
    ),
    (1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11),
)

_OPENPOSE18 = JointLayout(
    "openpose18",
    (
        *("nose", "mid_shoulder", "right_shoulder", "right_elbow", "right_wrist"),
        *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
        *("left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
    ),
    (1, -1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15),
)

_HALPE26 = JointLayout(
    "halpe26",
    (
        *_COCO17.joints,
        *("head_top", "mid_shoulder", "mid_hip", "left_big_toe", "right_big_toe"),
        *("left_small_toe", "right_small_toe", "left_heel", "right_heel"),
    ),
    (18, 0, 0, 1, 2, 18, 18, 5, 6, 7, 8, 19, 19, 11, 12, 13, 14, 0, 19, -1, 15, 16, 20, 21, 15, 16),
)

_FEET = ("left_foot_index", "right_foot_index")


def _with_feet(base: JointLayout, name: str) -> JointLayout:
    """Poses in space with the tips of the feet."""
    ankles = (base.index("left_ankle"), base.index("right_ankle"))
    return JointLayout(name, (*base.joints, *_FEET), (*base.parents, *ankles), extends=base.name)


# The joints of COCO and the feet that BlazePose sees.
_COCO21 = JointLayout(
    "coco21",
    (*_COCO17.joints, "left_heel", "right_heel", *_FEET),
    (*_COCO17.parents, 15, 16, 17, 18),
    (*_COCO17.oks_sigmas, 0.089, 0.089, 0.089, 0.089),
    extends="coco17",
)

LAYOUTS: MappingProxyType[str, JointLayout] = MappingProxyType(
    {
        layout.name: layout
        for layout in (
            *(_COCO17, _H36M17, _MPII16, _HUMANEVA15, _BLAZEPOSE33, _LIMBS12, _LIMBS14),
            *(_BODY25, _OPENPOSE18, _HALPE26),
            *(_COCO21, _with_feet(_H36M17, "h36m19"), _with_feet(_LIMBS14, "limbs16")),
        )
    }
)


def layout(name: str) -> JointLayout:
    """Look up a layout by name.

    Raises:
        UserError: There is no such layout.
    """
    if name not in LAYOUTS:
        raise UserError(f"layout: unknown joint layout {name!r}; known: {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def without_feet(joints: JointLayout) -> JointLayout:
    """The layout without the feet that are only carried along: its first joints."""
    return LAYOUTS[joints.extends] if joints.extends else joints


def with_feet(joints: JointLayout) -> JointLayout | None:
    """The layout of the same poses with the tips of the feet; None if there is none."""
    extended = (other for other in LAYOUTS.values() if other.extends == joints.name)
    return next((other for other in extended if other.joints[len(joints) :] == _FEET), None)


def joint_indices(source: JointLayout, target: JointLayout) -> tuple[int, ...]:
    """Indices into `source` that give the joints of `target`, in its order.

    Raises:
        UserError: `target` has joints that `source` lacks.
    """
    missing = [joint for joint in target.joints if joint not in source.joints]
    if missing:
        raise UserError(f"layout: {target.name} cannot be taken from {source.name}, which lacks {', '.join(missing)}")
    return tuple(source.index(joint) for joint in target.joints)


def shared_joints(first: JointLayout, second: JointLayout) -> tuple[tuple[int, int], ...]:
    """(index in first, index in second) of every joint that both layouts have, in the order of `first`."""
    return tuple((i, second.index(joint)) for i, joint in enumerate(first.joints) if joint in second.joints)
