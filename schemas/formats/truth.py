"""The truth of synthetic videos, one row per person: every joint in 2D and 3D, and whether the camera sees it."""

import pyarrow as pa

from schemas import FORMAT_KEY
from schemas.formats.detections import INTRINSICS

FORMAT = "raylift.truth/1"

TRUTH = pa.schema(
    [
        pa.field("video", pa.string(), nullable=False, metadata={"meaning": "relative to the manifest"}),
        pa.field("person", pa.int32(), nullable=False, metadata={"meaning": "counts the people of a video"}),
        pa.field("subject", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("camera", pa.string(), nullable=False),
        pa.field("layout", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False, metadata={"unit": "px"}),
        pa.field("height", pa.int32(), nullable=False, metadata={"unit": "px"}),
        pa.field("fps", pa.float64(), nullable=False, metadata={"unit": "frames/s"}),
        pa.field("timestamps_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s", "shape": "frames"}),
        pa.field(
            "keypoints",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"unit": "px, (0, 0) is the top left corner", "shape": "frames,joints,2"},
        ),
        pa.field(
            "positions",
            pa.list_(pa.float32()),
            nullable=False,
            metadata={"unit": "m, camera space", "shape": "frames,joints,3"},
        ),
        pa.field(
            "visible",
            pa.list_(pa.bool_()),
            nullable=False,
            metadata={"meaning": "no other body part is in front", "shape": "frames,joints"},
        ),
        pa.field("intrinsics", INTRINSICS, nullable=False, metadata={"unit": "px"}),
        pa.field(
            "orientation", pa.list_(pa.float64(), 4), nullable=False, metadata={"order": "w x y z, camera to world"}
        ),
        pa.field("translation", pa.list_(pa.float64(), 3), nullable=False, metadata={"unit": "m, world"}),
    ],
    metadata={FORMAT_KEY: FORMAT},
)
