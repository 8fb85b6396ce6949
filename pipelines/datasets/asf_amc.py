"""Acclaim's skeletons (ASF) and motions (AMC), as CMU's motion capture has them, to joints in space.

Described in M. Schafer's "Acclaim" notes and J. Lander's "Working with Motion Capture File Formats" (Game Developer,
January 1998): a bone has a direction and a length in the world's axes while the skeleton rests, and axes of its own in
which the motion turns it.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipelines.io.unknown_origin import STUMBLES
from schemas.errors import UserError
from schemas.layouts import layout

# ASF states lengths in inches divided by the number that it calls "length".
INCH_M = 0.0254
ROOT = "root"
# For each joint of h36m17, the bone that ends there.
JOINTS: Mapping[str, str] = {
    "pelvis": ROOT,
    **{"right_hip": "rhipjoint", "right_knee": "rfemur", "right_ankle": "rtibia"},
    **{"left_hip": "lhipjoint", "left_knee": "lfemur", "left_ankle": "ltibia"},
    **{"spine": "upperback", "thorax": "thorax", "neck": "upperneck", "head": "head"},
    **{"left_shoulder": "lclavicle", "left_elbow": "lhumerus", "left_wrist": "lradius"},
    **{"right_shoulder": "rclavicle", "right_elbow": "rhumerus", "right_wrist": "rradius"},
}

# Skeletons have at most this many bones; CMU's have 31. Of a motion, at most this many places of bones are computed, of
# about 100 bytes each: an hour and a half of those 31.
_MOST_BONES, _MOST_PLACES = 1_000, 20_000_000

Rotations = Float[np.ndarray, "*frames 3 3"]


@dataclass(frozen=True)
class Bone:
    """A bone of a skeleton.

    Attributes:
        offset: From its beginning to its end while the skeleton rests, in the file's unit.
        axes: The rotation of its own axes.
        motion: What its motion consists of, in the order of the file: tx, ty, tz, rx, ry, rz.
    """

    offset: Float[np.ndarray, "3"]
    axes: Float[np.ndarray, "3 3"]
    motion: tuple[str, ...]


@dataclass(frozen=True)
class Skeleton:
    """The bones of a skeleton and their hierarchy.

    Attributes:
        bones: By name, parents before children.
        parents: The parent of every bone but the root.
        unit_m: Metres of one unit.
        degrees: Whether angles are in degrees.
    """

    bones: Mapping[str, Bone]
    parents: Mapping[str, str]
    unit_m: float
    degrees: bool


def read_skeleton(text: str, name: str) -> Skeleton:
    """Read an ASF file.

    Args:
        text: Its content.
        name: What messages call it.

    Raises:
        UserError: The text is not an ASF file.
    """
    try:
        sections = _sections(text)
        units = {words[0]: words[1] for words in sections["units"]}
        degrees = units.get("angle", "deg") == "deg"
        bones = {ROOT: _root(sections["root"], degrees)} | dict(_bones(sections["bonedata"], degrees))
        parents = {child: words[0] for words in sections["hierarchy"] if len(words) > 1 for child in words[1:]}
        ordered = _ordered(bones, parents)
        return Skeleton(ordered, parents, INCH_M / float(units["length"]), degrees)
    except STUMBLES as error:
        raise UserError(f"{name}: is no skeleton (ASF): {error!r}; fetch it again, or give another") from error


def read_motion(text: str, skeleton: Skeleton, name: str) -> Float[np.ndarray, "frames 17 3"]:
    """The joints of layout h36m17 in an AMC file: metres, z up.

    Args:
        text: Its content.
        skeleton: The skeleton that it moves.
        name: What messages call it.

    Raises:
        UserError: The text is not an AMC file, or belongs to another skeleton.
    """
    try:
        channels = _channels(text, skeleton)
        ends = _bone_ends(channels, skeleton)
        positions = np.stack([ends[JOINTS[joint]] for joint in layout("h36m17").joints], axis=1) * skeleton.unit_m
    except STUMBLES as error:
        raise UserError(f"{name}: is no motion (AMC) of its skeleton: {error!r}; fetch it again") from error
    # The y axis points up in the files, the z axis in the result.
    return (positions[..., [0, 2, 1]] * (1, -1, 1)).astype(np.float32)


def _sections(text: str) -> dict[str, list[list[str]]]:
    """The words of each line, by section."""
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append(words)
    return sections


def _root(lines: Sequence[Sequence[str]], degrees: bool) -> Bone:
    values = {words[0]: words[1:] for words in lines}
    turned = _euler(np.array([float(value) for value in values["orientation"]]), values["axis"][0], degrees)
    motion = tuple(word.lower() for word in values["order"])
    return Bone(np.array([float(value) for value in values["position"]]), turned, motion)


def _bones(lines: Sequence[Sequence[str]], degrees: bool) -> Iterator[tuple[str, Bone]]:
    values: dict[str, list[str]] = {}
    for words in lines:
        if words[0] == "begin":
            values = {}
        elif words[0] == "end":
            direction = np.array([float(value) for value in values["direction"]])
            axes = _euler(np.array([float(value) for value in values["axis"][:3]]), values["axis"][3], degrees)
            length = float(values["length"][0])
            yield values["name"][0], Bone(direction * length, axes, tuple(values.get("dof", ())))
        else:
            values[words[0]] = list(words[1:])


def _ordered(bones: Mapping[str, Bone], parents: Mapping[str, str]) -> dict[str, Bone]:
    """The bones, parents before children."""

    def depth(name: str) -> int:
        steps = 0
        while name != ROOT:
            name, steps = parents[name], steps + 1
            if steps > len(bones):
                raise ValueError("bones hang on each other in a circle")
        return steps

    if len(bones) > _MOST_BONES:
        raise ValueError(f"it has {len(bones):,} bones, at most {_MOST_BONES:,} are read")

    return {name: bones[name] for name in sorted(bones, key=depth)}


def _channels(text: str, skeleton: Skeleton) -> dict[str, Float[np.ndarray, "frames channels"]]:
    """The values of each bone that moves, in every frame."""
    values: dict[str, array[float]] = {}
    frames = 0
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in ":#":
            continue
        if len(words) == 1:
            frames += 1
            if frames * len(skeleton.bones) > _MOST_PLACES:
                raise ValueError(f"it has more than {frames - 1:,} frames; give it in parts")
        elif len(words) - 1 != len(skeleton.bones[words[0]].motion):
            raise ValueError(f"{words[0]} has {len(words) - 1} values in a frame, not those of its skeleton")
        else:
            values.setdefault(words[0], array("d")).extend(map(float, words[1:]))
    channels = {
        name: np.frombuffer(numbers).reshape(-1, len(skeleton.bones[name].motion)) for name, numbers in values.items()
    }
    for name, rows in channels.items():
        if len(rows) != frames:
            raise ValueError(f"{name} has {len(rows):,} rows of values for {frames:,} frames")
    if not frames or ROOT not in channels:
        raise ValueError("it has no frames")
    return channels


def _bone_ends(
    channels: Mapping[str, Float[np.ndarray, "frames channels"]], skeleton: Skeleton
) -> dict[str, Float[np.ndarray, "frames 3"]]:
    """Where each bone ends, in the file's unit and axes."""
    frames = len(channels[ROOT])
    turns: dict[str, Rotations] = {}
    ends: dict[str, Float[np.ndarray, "frames 3"]] = {}
    for name, bone in skeleton.bones.items():
        moved = dict(zip(bone.motion, channels[name].T, strict=True)) if name in channels else {}
        angles = np.stack([moved.get(axis, np.zeros(frames)) for axis in ("rx", "ry", "rz")], axis=-1)
        own = bone.axes @ _euler(angles, "XYZ", skeleton.degrees) @ bone.axes.T
        if name == ROOT:
            shift = np.stack([moved.get(axis, np.zeros(frames)) for axis in ("tx", "ty", "tz")], axis=-1)
            turns[name], ends[name] = own, shift + bone.offset
        else:
            parent = skeleton.parents[name]
            turns[name] = turns[parent] @ own
            ends[name] = ends[parent] + turns[name] @ bone.offset
    return ends


def _euler(angles: Float[np.ndarray, "*frames 3"], order: str, degrees: bool) -> Rotations:
    """Rotations about the axes x, y, z of the world by these angles, one after the other in the order of the letters.

    Args:
        angles: About x, y and z, in the order of the letters.
        order: Such as XYZ: first about x.
        degrees: Whether angles are in degrees.
    """
    radians = np.deg2rad(angles) if degrees else np.asarray(angles, float)
    result = np.broadcast_to(np.eye(3), (*radians.shape[:-1], 3, 3))
    for place, letter in enumerate(order.upper()):
        first, second = {"X": (1, 2), "Y": (2, 0), "Z": (0, 1)}[letter]
        sine, cosine = np.sin(radians[..., place]), np.cos(radians[..., place])
        turn = np.zeros((*radians.shape[:-1], 3, 3)) + np.eye(3)
        turn[..., first, first] = turn[..., second, second] = cosine
        turn[..., first, second], turn[..., second, first] = -sine, sine
        result = turn @ result
    return result
