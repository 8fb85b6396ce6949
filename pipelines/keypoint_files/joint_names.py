"""Joint names as people and programs write them: LHip, left hip, hip_l and Hip.L are all left_hip."""

from collections.abc import Sequence

from schemas.errors import UserError
from schemas.joint_names import spelled
from schemas.layouts import LAYOUTS, JointLayout, shared_joints

# Other names of the joints in the middle of the body.
_MIDDLE = {"hip_center": "mid_hip", "root": "mid_hip", "hip": "mid_hip", "neck": "mid_shoulder", "head": "head_top"}
# With fewer shared joints than this, a file is not taken for a body.
_LEAST_SHARED = 4


def joint_name(text: str) -> str:
    """A name in the form that layouts have: side first, words joined by underscores."""
    name = spelled(text)
    return _MIDDLE.get(name, name)


def layout_by_names(names: Sequence[str], where: str) -> tuple[JointLayout, list[tuple[int, int]], str | None]:
    """The layout that has exactly these joints, or else most of them.

    Args:
        names: The joints' names in the order of a file.
        where: The file, for messages.

    Returns:
        The layout, (place in the layout, place in the file) of each joint that both have, and a note if they differ.

    Raises:
        UserError: No layout has enough of the joints.
    """
    # Layouts must match exactly first, because they use some words for different joints: h36m17's head is not what most
    # files call head.
    for known in LAYOUTS.values():
        if len(names) == len(known) and set(names) == set(known.joints):
            return known, [(place, names.index(joint)) for place, joint in enumerate(known.joints)], None
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
