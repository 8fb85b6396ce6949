"""Joint names as people and programs write them: LHip, left hip, hip_l and Hip.L are all left_hip."""

import re
from collections.abc import Sequence

from schemas.errors import UserError
from schemas.layouts import LAYOUTS, JointLayout, shared_joints

_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
# Joints in the middle of the body, and parts of either side, by other names.
_MIDDLE = {"hip_center": "mid_hip", "root": "mid_hip", "hip": "mid_hip", "neck": "mid_shoulder", "head": "head_top"}
_SIDED = {"bigtoe": "big_toe", "smalltoe": "small_toe", "footindex": "foot_index"}
# Fewer shared joints say nothing about a body.
_LEAST_SHARED = 4


def joint_name(text: str) -> str:
    """A name in the form that layouts have: side first, words joined by underscores."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=^[LR])(?=[A-Z][a-z])", " ", text.strip())
    words = [word.lower() for word in re.split(r"[^A-Za-z0-9]+", spaced) if word]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    part = "_".join(word for word in words if word not in _SIDES)
    if len(sides) == 1:
        return f"{sides[0]}_{_SIDED.get(part.replace('_', ''), part)}"
    return _MIDDLE.get(part, part)


def layout_by_names(names: Sequence[str], where: str) -> tuple[JointLayout, list[tuple[int, int]], str | None]:
    """The layout that has most of some joints.

    Args:
        names: The joints' names in the order of a file.
        where: The file, for messages.

    Returns:
        The layout, (place in the layout, place in the file) of each joint that both have, and a note if they differ.

    Raises:
        UserError: No layout has enough of the joints.
    """
    given = JointLayout("given", tuple(map(joint_name, names)), ())
    best = max(LAYOUTS.values(), key=lambda known: (len(shared_joints(known, given)), -len(known)))
    shared = list(shared_joints(best, given))
    if len(shared) < _LEAST_SHARED:
        raise UserError(
            f"{where}: its joints are {', '.join(names)}, of which no layout has {_LEAST_SHARED}; "
            "rename them as in source.names={NAME: left_hip, …}"
        )
    missing = [joint for joint in best.joints if joint not in given.joints]
    left_out = [name for name, joint in zip(names, given.joints, strict=True) if joint not in best.joints]
    if not missing and not left_out:
        return best, shared, None
    note = (
        f"{where}: taken as layout {best.name}, by name; missing: {', '.join(missing) or 'none'}; "
        f"left out: {', '.join(left_out) or 'none'}"
    )
    return best, shared, note
