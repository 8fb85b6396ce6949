"""The tracks format (the keypoint shards): one row is one person over time in one video.

Labeled and unlabeled data have the same format: a labeled track has `positions`, an unlabeled one null there.
"""

import pyarrow as pa

from schemas.formats.detections import INTRINSICS

FORMAT = "raylift.tracks/1"

TRACKS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("action", pa.string()),
        pa.field("camera", pa.string()),
        pa.field("person", pa.int32(), nullable=False, metadata={"meaning": "0 is seen first in its video"}),
        pa.field("layout", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False, metadata={"unit": "px, upright"}),
        pa.field("height", pa.int32(), nullable=False, metadata={"unit": "px, upright"}),
        pa.field("fps", pa.float64(), nullable=False, metadata={"unit": "frames/s, mean over the video"}),
        pa.field("start_frame", pa.int64(), nullable=False),
        pa.field("frames", pa.int64(), nullable=False, metadata={"meaning": "length of every list below"}),
        pa.field("timestamps_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s"}),
        pa.field("boxes", pa.list_(pa.float32()), nullable=False, metadata={"unit": "px", "shape": "frames,4"}),
        pa.field("box_scores", pa.list_(pa.float32()), nullable=False, metadata={"shape": "frames"}),
        pa.field(
            "keypoints",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"unit": "px", "shape": "frames,joints,2"},
        ),
        pa.field("scores", pa.list_(pa.float32()), nullable=False, metadata={"shape": "frames,joints"}),
        pa.field("interpolated", pa.list_(pa.bool_()), nullable=False, metadata={"shape": "frames"}),
        pa.field("intrinsics", INTRINSICS, metadata={"unit": "px of the upright full-size image"}),
        pa.field(
            "intrinsics_provenance",
            pa.string(),
            nullable=False,
            metadata={"one of": "calibrated metadata assumed_fov none"},
        ),
        pa.field(
            "positions",
            pa.list_(pa.float32()),
            metadata={"unit": "m, camera space", "shape": "frames,joints,3; null if unlabeled"},
        ),
        pa.field(
            "swapped",
            pa.list_(pa.bool_()),
            metadata={"shape": "frames; null if unknown", "meaning": "left and right were exchanged by linking"},
        ),
        pa.field("up", pa.list_(pa.float32()), metadata={"meaning": "unit vector, camera space; null if unknown"}),
        pa.field("shots", pa.list_(pa.int32()), metadata={"meaning": "cuts before each frame; null if unknown"}),
        pa.field("still", pa.bool_(), metadata={"meaning": "nothing moves in its shots; null if unknown"}),
        pa.field(
            "label_residuals_px",
            pa.list_(pa.float32()),
            metadata={"unit": "px", "shape": "frames,joints of positions; null if unknown"},
        ),
        pa.field(
            "label_views",
            pa.list_(pa.int32()),
            metadata={"meaning": "views that agree on each position", "shape": "as label_residuals_px"},
        ),
        # The layout of `positions`, because motion capture has other joints than detectors.
        pa.field("positions_layout", pa.string()),
    ]
)
