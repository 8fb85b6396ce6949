"""The studio's cameras as calibration files in Pose2Sim's format, one for each session."""

import json
from collections.abc import Sequence

from scipy.spatial.transform import Rotation

from pipelines.synthetic.cameras import View
from pipelines.synthetic.truth import Truth


def pose2sim(people: Sequence[Truth]) -> dict[str, str]:
    """A calibration for each scene, by the name of its session: the names of its videos without the camera.

    Args:
        people: The truth of all videos.
    """
    scenes: dict[str, dict[str, View]] = {}
    for truth in people:
        session = truth.video.rpartition("/")[2].rpartition("_")[0]
        scenes.setdefault(session, {})[truth.view.name] = truth.view
    return {session: "\n".join(map(_camera, views.values())) for session, views in scenes.items()}


def _camera(view: View) -> str:
    """The section of a camera; world to camera is `rotation @ point + translation`."""
    lens = view.intrinsics
    # The coefficients are put in OpenCV's order; its cross term counts twice, which makes a fifth of a pixel here.
    tangential = (lens.p2, lens.p1) if lens.distortion == "human36m" else (lens.p1, lens.p2)
    w, x, y, z = view.orientation
    to_camera = Rotation.from_quat([x, y, z, w]).inv()
    values = {
        "name": view.name,
        "size": [view.width, view.height],
        "matrix": [[lens.fx, 0.0, lens.cx], [0.0, lens.fy, lens.cy], [0.0, 0.0, 1.0]],
        "distortions": [lens.k1, lens.k2, *tangential, lens.k3],
        "rotation": to_camera.as_rotvec().tolist(),
        "translation": (-to_camera.apply(view.translation)).tolist(),
        "fisheye": False,
    }
    return "\n".join([f"[{view.name}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()), ""])
