"""A lifted track's joints in the picture as OpenPose's JSON, one file a frame, all of them in one zip file.

Joints are those of BODY_25, of which lifters know the limbs and the middles of hips and shoulders; the others are 0, 0
with confidence 0, as OpenPose writes what it has not found. A joint's confidence is the score of the keypoints that say
where it is. Files are numbered from the first frame of the video.
"""

import io
import json
import zipfile

import numpy as np
from jaxtyping import Float64

from pipelines.synthetic.cameras import project
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

BODY_25 = layout("body25")
# The version number of OpenPose's format for this arrangement.
_VERSION = 1.3
# Lists that OpenPose writes for a person, and that stay empty here.
_EMPTY = (
    *("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d"),
    *("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d"),
)
# The earliest time that zip files hold; the current time would make the same track give different bytes.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def openpose_zip(lifted: LiftedTrack, name: str) -> bytes:
    """The content of the zip file. Where the camera is unknown, the person is in none of its frames.

    Args:
        lifted: The track.
        name: What the names of its files begin with.
    """
    people = [[] for _ in range(len(lifted))] if (joints := _in_picture(lifted)) is None else [[of] for of in joints]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, of_frame in enumerate(people, start=lifted.start_frame):
            described = [
                {"person_id": [-1], "pose_keypoints_2d": np.round(of, 3).ravel().tolist()} | {key: [] for key in _EMPTY}
                for of in of_frame
            ]
            entry = zipfile.ZipInfo(f"{name}_{number:012d}_keypoints.json", _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, json.dumps({"version": _VERSION, "people": described}))
    return file.getvalue()


def _in_picture(lifted: LiftedTrack) -> Float64[np.ndarray, "frames joints 3"] | None:
    """x, y (px) and confidence of the joints of BODY_25; None if their place in the picture is unknown."""
    if lifted.trajectory is None or lifted.intrinsics is None:
        return None
    own = layout(lifted.layout)
    positions = (lifted.positions + lifted.trajectory[:, None]).astype(np.float64)
    scores = np.ones(positions.shape[:2]) if lifted.joint_scores is None else lifted.joint_scores
    points = np.zeros((len(lifted), len(BODY_25), 3))
    for joint, name in enumerate(BODY_25.joints):
        parts = _parts(name)
        if not set(parts) <= set(own.joints):
            continue
        places = [own.index(part) for part in parts]
        position_m = positions[:, places].mean(1)
        visible = (position_m[:, 2] > 0) & np.isfinite(position_m).all(1)
        points[visible, joint, :2] = project(lifted.intrinsics, position_m[visible])
        points[visible, joint, 2] = np.clip(scores[visible][:, places].min(1), 0, 1)
    return points


def _parts(name: str) -> list[str]:
    """The joints whose middle is a joint of BODY_25."""
    middle, _, part = name.partition("_")
    return [f"{side}_{part}" for side in ("left", "right")] if middle == "mid" else [name]
