"""Arrays of keypoints with the names of their joints: the common form of formats with user-defined joints."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from pipelines.keypoint_files.found_videos import (
    FoundPerson,
    FoundVideo,
    people_of,
    require_own_numbers,
    require_scores,
)
from pipelines.keypoint_files.joint_names import layout_by_names
from schemas.errors import UserError


def video_of_array(
    name: str,
    uri: str,
    values: Float[np.ndarray, "people frames joints 3"],
    joints: Sequence[str],
    names: Mapping[str, str],
    *,
    numbers: Sequence[int] | None = None,
    fps: float | None = None,
) -> FoundVideo:
    """A video from x, y and confidence of every joint, in the layout that has most of the joints.

    Args:
        name: Name of the video.
        uri: The file, for messages.
        values: Joints that are not finite, or at exactly (0, 0), are missing.
        joints: Names of the joints in the file.
        names: Joint names by names in the file, where these are others.
        numbers: Numbers of the frames; counted from 0 if not given.
        fps: Frames per second, if the file tells.

    Raises:
        UserError: The joints fit no layout, the file lacks one of `names`, frames have the same number, or scores
            are not confidences.
    """
    if foreign := [given for given in names if given not in joints]:
        raise UserError(f"source.names: {uri} has no joint {', '.join(foreign)}; its joints are {', '.join(joints)}")
    layout, shared, note = layout_by_names([names.get(joint, joint) for joint in joints], uri)
    own, given = np.array(shared).T
    ordered = np.zeros((*values.shape[:2], len(layout), 3))
    known = np.isfinite(values).all(-1, keepdims=True) & (values[..., :2] != 0).any(-1, keepdims=True)
    ordered[:, :, own] = np.where(known, values, 0)[:, :, given]
    require_scores(ordered[..., 2].ravel(), uri)
    numbers = range(values.shape[1]) if numbers is None else numbers
    require_own_numbers(numbers, uri)
    frames = {
        number: people_of((FoundPerson(person[:, :2], person[:, 2]) for person in ordered[:, row]), len(layout))
        for row, number in enumerate(numbers)
    }
    return FoundVideo(name, uri, layout, frames, fps=fps, note=note)
