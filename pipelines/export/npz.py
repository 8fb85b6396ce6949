"""A lifted track as an npz file of plain arrays and strings, which `numpy.load` reads without pickle."""

import io

import numpy as np

from pipelines.io.secrets import redact
from pipelines.tracks.levelling import Levelling
from pipelines.tracks.lifted_track import LiftedTrack
from schemas.layouts import layout

FORMAT = "raylift.lifted-npz/1"

README = """One person over time in 3D, as a lifter predicts them. T frames, J joints.

format                 name and version of this set of arrays
positions_m            (T, J, 3) metres relative to the root; camera axes: x right, y down, z forward
trajectory_m           (T, 3) metres: where the root is in camera space; absent if unknown
world_positions_m      (T, J, 3) metres in a level world, see below; absent with world=camera or without trajectory
world_axes             (3, 3) rotation from the camera's axes to the world's; absent with world=camera
camera_height_m        height of the camera above the ground; absent as world_positions_m
ground_footsteps       number of footsteps that the ground was found by; 0: it is where the lowest joints are
ground_confidence      share of the time of those footsteps that is within 0.1 m of the ground
timestamps_s           (T,) seconds: when each frame is shown in the video
interpolated           (T,) whether the person was not observed in this frame
keypoint_score         (T,) mean score of the 2D keypoints lifted, 0 to 1
joint_scores           (T, J) score of the keypoints that tell where a joint is (< 0.3: a guess); absent if unknown
reprojection_px        (T,) mean distance of projected joints and keypoints, pixels; absent if nothing can be compared
reprojection           how they were compared: perspective, orthographic or none
bone_length_deviation  (T,) mean over bones of |length / median length over the track - 1|
layout                 name of the joint layout
joints                 (J,) joint names, in array order
parents                (J,) index of each joint's parent, -1 for the root
fps                    frames/s, mean over the video; nan if unknown
start_frame            number of the first frame in its video
width_px, height_px    size of the upright image
intrinsics             (9,) fx fy cx cy (pixels) k1 k2 k3 p1 p2; absent if unknown
intrinsics_distortion  model of the distortion: none, opencv, human36m or fisheye
intrinsics_k4          the fourth coefficient of fisheyes, 0 with other models; absent if unknown
intrinsics_provenance  where the intrinsics come from: calibrated, metadata, assumed_fov or none
track_id, video, person, source         which track this is, and the tracks file it was read from
subject, action, camera                 '' if unknown
model, model_sha256                     the lifter, and its file's hash

Positions in camera space: positions_m + trajectory_m[:, None].
The world: x right, y away from the camera, z up; the camera stands above x = y = 0, and the ground is at z = 0.
Which way is up follows from the people: those of one video share one world.
"""

_INTRINSICS = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "p1", "p2")


def npz_bytes(lifted: LiftedTrack, levelling: Levelling | None = None) -> bytes:
    """The content of the npz file; the same track gives the same bytes. Its array `README` describes the others.

    Args:
        lifted: The track.
        levelling: How its video is levelled; None to write nothing about the world.
    """
    joints = layout(lifted.layout)
    arrays = {
        "README": README,
        "format": FORMAT,
        "positions_m": lifted.positions,
        "timestamps_s": lifted.timestamps_s,
        "interpolated": lifted.interpolated,
        "keypoint_score": lifted.keypoint_score,
        "reprojection": lifted.reprojection,
        "bone_length_deviation": lifted.bone_length_deviation,
        "layout": lifted.layout,
        "joints": np.array(joints.joints),
        "parents": np.array(joints.parents, np.int64),
        "fps": lifted.fps,
        "start_frame": lifted.start_frame,
        "width_px": lifted.width,
        "height_px": lifted.height,
        "intrinsics_provenance": lifted.intrinsics_provenance,
        **{name: getattr(lifted, name) for name in ("track_id", "person", "source", "model", "model_sha256")},
        "video": redact(lifted.video),
        **{name: getattr(lifted, name) or "" for name in ("subject", "action", "camera")},
        **_known(lifted),
        **({} if levelling is None else _world(lifted, levelling)),
    }
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{name: np.asarray(value) for name, value in arrays.items()})
    return file.getvalue()


def _world(lifted: LiftedTrack, levelling: Levelling) -> dict[str, object]:
    """The arrays in the axes of a level world."""
    axes: dict[str, object] = {"world_axes": levelling.world_axes}
    if lifted.trajectory is None:
        return axes
    points = (lifted.positions + lifted.trajectory[:, None]) @ levelling.world_axes.T.astype(np.float32)
    height = np.array([0, 0, levelling.ground_m], np.float32)
    return (
        axes
        | {"world_positions_m": points + height, "camera_height_m": levelling.ground_m}
        | {
            "ground_footsteps": levelling.footsteps,
            "ground_confidence": levelling.ground_confidence,
        }
    )


def _known(lifted: LiftedTrack) -> dict[str, object]:
    """The arrays that only some tracks have."""
    known: dict[str, object] = {}
    if lifted.trajectory is not None:
        known["trajectory_m"] = lifted.trajectory
    if lifted.joint_scores is not None:
        known["joint_scores"] = lifted.joint_scores
    if lifted.reprojection_px is not None:
        known["reprojection_px"] = lifted.reprojection_px
    if lifted.intrinsics is not None:
        known["intrinsics"] = np.array([getattr(lifted.intrinsics, name) for name in _INTRINSICS])
        known["intrinsics_distortion"] = lifted.intrinsics.distortion
        known["intrinsics_k4"] = lifted.intrinsics.k4
    return known
