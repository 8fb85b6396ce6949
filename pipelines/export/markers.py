"""A person's joints as the markers of biomechanics: named as OpenSim's models expect, in a chosen unit and up axis."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from pipelines.export.motion import Motion
from schemas.configs.export import UpAxis

# Names of Pose2Sim's marker sets for OpenSim (HALPE_26 and its subsets). Other joints keep the names of their layout,
# with R or L for the side.
_MIDDLE = {
    **dict.fromkeys(("pelvis", "mid_hip"), "Hip"),
    **dict.fromkeys(("thorax", "mid_shoulder"), "Neck"),
    **dict.fromkeys(("head", "head_top"), "Head"),
    "neck": "UpperNeck",
}
_SIDES = {"left": "L", "right": "R"}
# For each up axis: the columns of y-up positions (x right, y up, z towards the camera), and their signs.
_AXES: dict[UpAxis, tuple[list[int], list[float]]] = {"y": ([0, 1, 2], [1, 1, 1]), "z": ([0, 2, 1], [1, -1, 1])}


@dataclass(frozen=True)
class Markers:
    """Markers over time.

    Attributes:
        names: Their names.
        positions: Where they are, in the unit and axes that were asked for.
    """

    names: tuple[str, ...]
    positions: Float64[np.ndarray, "frames markers 3"]


def markers_of(motion: Motion, unit: str, up: UpAxis) -> Markers:
    """The joints of a motion as markers, with the middles of hips and shoulders, whether or not its layout has them."""
    columns, signs = _AXES[up]
    scale = 1000.0 if unit == "mm" else 1.0
    places: dict[str, int] = {}
    for place, joint in enumerate(motion.skeleton.joints):
        places.setdefault(_marker_name(joint), place)
    positions = motion.joints[:, list(places.values())][..., columns] * signs * scale
    return Markers(tuple(places), positions)


def _marker_name(joint: str) -> str:
    side, _, part = joint.partition("_")
    if side in _SIDES:
        return _SIDES[side] + _pascal(part)
    return _MIDDLE.get(joint, _pascal(joint))


def _pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
