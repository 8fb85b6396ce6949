"""The detections format: one row is one clip, a planned range of frames of one video.

A clip that cannot be decoded is a row with `error` and no frames; a clip in which nobody was found is a finished
row with zero detections. All lists per frame have one entry per planned frame, decoded or not.
"""

import pyarrow as pa

FORMAT = "raylift.detections/1"

INTRINSICS = pa.struct(
    [(name, pa.float64()) for name in ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "p1", "p2")]
    # These fields describe fisheye lenses; version 0.1.0 did not write them.
    + [("distortion", pa.string()), ("k4", pa.float64())]
)

# A thumbnail has 9 rows of 16 pixels of 3 bytes.
THUMBNAIL_BYTES = 9 * 16 * 3

# Columns of a clip once its video is probed; every later stage adds columns.
PLAN_FIELDS: list[pa.Field] = [
    pa.field("clip_id", pa.string(), nullable=False),
    pa.field("video", pa.string(), nullable=False),
    pa.field("subject", pa.string()),
    pa.field("action", pa.string()),
    pa.field("camera", pa.string()),
    pa.field("intrinsics", INTRINSICS, metadata={"unit": "px of the upright full-size image"}),
    pa.field("focal_35mm", pa.float32(), metadata={"unit": "mm of 35 mm film, from the metadata of the file"}),
    pa.field("clip_index", pa.int32(), nullable=False),
    pa.field("clip_count", pa.int32(), nullable=False),
    pa.field("start_frame", pa.int64(), nullable=False),
    pa.field("stop_frame", pa.int64(), nullable=False),
    pa.field("timestamps_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s", "shape": "frames"}),
    pa.field("width", pa.int32(), metadata={"unit": "px, upright"}),
    pa.field("height", pa.int32(), metadata={"unit": "px, upright"}),
    pa.field("fps", pa.float64(), metadata={"unit": "frames/s, mean over the video"}),
    pa.field("codec", pa.string()),
    pa.field("plan_s", pa.float64(), metadata={"unit": "s, this clip's share"}),
    pa.field("damage", pa.string(), metadata={"meaning": "what is damaged or missing, though the row is done"}),
    pa.field("note", pa.string(), metadata={"meaning": "what was decided about the video; on its first clip"}),
    pa.field("error", pa.string(), metadata={"meaning": "why there is no result; retried by the next run"}),
    pa.field("version", pa.string(), metadata={"meaning": "of the video's file; another one is labeled anew"}),
]

_PERSON = pa.struct(
    [
        pa.field("box", pa.list_(pa.float32(), 4), metadata={"unit": "px", "order": "x0 y0 x1 y1"}),
        pa.field("score", pa.float32()),
        pa.field("keypoints", pa.list_(pa.float32()), metadata={"unit": "px", "shape": "joints,2"}),
        pa.field("keypoint_scores", pa.list_(pa.float32()), metadata={"shape": "joints"}),
    ]
)

DECODE_FIELDS: list[pa.Field] = [
    pa.field("decoder", pa.string()),
    pa.field("decoded", pa.list_(pa.bool_()), nullable=False, metadata={"shape": "frames"}),
    pa.field("decode_s", pa.float64(), metadata={"unit": "s"}),
    pa.field(
        "thumbnails",
        pa.list_(pa.binary(THUMBNAIL_BYTES)),
        metadata={"shape": "frames", "meaning": "uint8 9,16,3 each: mean colours, from which cuts are found"},
    ),
]

# These columns are sent to the driver and never written to files.
TRANSIT_FIELDS: list[pa.Field] = [
    pa.field("began_at", pa.float64(), metadata={"unit": "s since 1970, when work on the clip began"}),
    pa.field("run_failed", pa.string(), metadata={"meaning": "why the job must end: no fault of this clip"}),
]

# These columns exist only between decoding and detecting; they are never written to files.
FRAME_FIELDS: list[pa.Field] = [
    pa.field("frames", pa.large_binary(), metadata={"shape": "decoded frames,height,width,3", "type": "uint8"}),
    pa.field("frame_width", pa.int32()),
    pa.field("frame_height", pa.int32()),
]

DETECT_FIELDS: list[pa.Field] = [
    pa.field("people", pa.list_(pa.list_(_PERSON)), nullable=False, metadata={"shape": "frames,people"}),
    pa.field("detections", pa.int64(), nullable=False, metadata={"meaning": "people over all frames"}),
    pa.field("detect_s", pa.float64(), metadata={"unit": "s"}),
]

PLANNED = pa.schema(PLAN_FIELDS + TRANSIT_FIELDS)
DECODED = pa.schema(PLAN_FIELDS + DECODE_FIELDS + TRANSIT_FIELDS + FRAME_FIELDS)
DETECTIONS = pa.schema(PLAN_FIELDS + DECODE_FIELDS + DETECT_FIELDS)
