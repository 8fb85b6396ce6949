"""The poses format, the result of the lift job: one row is one track lifted to 3D.

A track that cannot be lifted is a row with `error` and no frames. All lists per frame have one entry per frame of the
track, at the timestamps of the track, which do not depend on the frame rate of the lifter.
"""

import pyarrow as pa

from schemas.formats.detections import INTRINSICS

FORMAT = "raylift.poses/1"

POSES = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("action", pa.string()),
        pa.field("camera", pa.string()),
        pa.field("person", pa.int32(), nullable=False, metadata={"meaning": "0 is seen first in its video"}),
        pa.field(
            "source", pa.string(), nullable=False, metadata={"meaning": "name of the tracks file, a content hash"}
        ),
        pa.field("model", pa.string(), nullable=False, metadata={"meaning": "registered version, or a file's address"}),
        pa.field("model_sha256", pa.string(), nullable=False),
        pa.field("layout", pa.string(), nullable=False, metadata={"meaning": "of the positions"}),
        pa.field("width", pa.int32(), nullable=False, metadata={"unit": "px, upright"}),
        pa.field("height", pa.int32(), nullable=False, metadata={"unit": "px, upright"}),
        pa.field("fps", pa.float64(), nullable=False, metadata={"unit": "frames/s, mean over the video"}),
        pa.field("start_frame", pa.int64(), nullable=False),
        pa.field("frames", pa.int64(), nullable=False, metadata={"meaning": "length of every list below"}),
        pa.field("timestamps_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s"}),
        pa.field(
            "positions",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"unit": "m, camera axes, relative to the root", "shape": "frames,joints,3"},
        ),
        pa.field(
            "trajectory",
            pa.list_(pa.float32()),
            metadata={"unit": "m, camera space: where the root is", "shape": "frames,3; null if not predicted"},
        ),
        pa.field(
            "trajectory_provenance",
            pa.string(),
            metadata={"one of": "predicted fitted none; null in files of version 0.1.0"},
        ),
        pa.field("interpolated", pa.list_(pa.bool_()), nullable=False, metadata={"shape": "frames"}),
        pa.field(
            "keypoint_score",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"shape": "frames", "meaning": "mean score of the keypoints lifted, 0 to 1"},
        ),
        pa.field(
            "joint_scores",
            pa.list_(pa.float32()),
            metadata={
                "shape": "frames,joints; null in files of version 0.1.0",
                "meaning": "score of the keypoints that tell where a joint is, 0 to 1",
            },
        ),
        pa.field(
            "unseen_joints",
            pa.list_(pa.string()),
            metadata={"meaning": "joints seen in next to no frame: their places are guesses; null as above"},
        ),
        pa.field(
            "reprojection_px",
            pa.list_(pa.float32()),
            metadata={"unit": "px", "shape": "frames; null if nothing can be compared"},
        ),
        pa.field("reprojection", pa.string(), nullable=False, metadata={"one of": "perspective orthographic none"}),
        pa.field(
            "bone_length_deviation",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"unit": "1, mean over bones of |length / median length over the track - 1|", "shape": "frames"},
        ),
        pa.field("intrinsics", INTRINSICS, metadata={"unit": "px of the upright full-size image"}),
        pa.field(
            "intrinsics_provenance",
            pa.string(),
            nullable=False,
            metadata={"one of": "calibrated metadata assumed_fov none"},
        ),
        pa.field("error", pa.string(), metadata={"meaning": "why there is no result; retried by the next run"}),
    ]
)
