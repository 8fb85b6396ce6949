"""The curation formats: the choice that the curate job makes among tracks, and what it has measured of each.

A choice stands wherever tracks are read: its kept tracks are then read from their own files.
"""

import pyarrow as pa

CURATED_FORMAT = "raylift.curated/1"
MEASURES_FORMAT = "raylift.track-measures/1"

_TRACK = [
    pa.field("track_id", pa.string(), nullable=False),
    pa.field("video", pa.string(), nullable=False),
    pa.field("frames", pa.int64(), nullable=False),
]
_QUALITY = [
    pa.field("seconds", pa.float64(), metadata={"unit": "s"}),
    pa.field("unobserved", pa.float64(), metadata={"meaning": "share of frames in which the person was not found"}),
    pa.field("score", pa.float64(), metadata={"meaning": "median score of the limbs"}),
    pa.field("missing", pa.float64(), metadata={"meaning": "share of the limbs that were not seen"}),
    pa.field("size_px", pa.float64(), metadata={"unit": "px, median extent of the person"}),
    pa.field("proportions", pa.float64(), metadata={"unit": "trunk sizes, median length of the longest limb"}),
    pa.field("jitter", pa.float64(), metadata={"unit": "trunk sizes"}),
    pa.field("swaps", pa.float64(), metadata={"meaning": "share of frames with left and right exchanged"}),
    pa.field("motion", pa.float64(), metadata={"unit": "trunk sizes, deviation of the pose from its mean"}),
]

CURATED = pa.schema(
    [
        *_TRACK,
        pa.field("file", pa.string(), nullable=False, metadata={"meaning": "address of the tracks file"}),
        pa.field("row", pa.int64(), nullable=False, metadata={"meaning": "row of the track in the file"}),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field("reason", pa.string(), metadata={"meaning": "why it is not kept; null if it is"}),
        pa.field("duplicate_of", pa.string(), metadata={"meaning": "track id of the original of a copy"}),
        *_QUALITY,
        pa.field("bone_length_deviation", pa.float64(), metadata={"meaning": "median, once lifted; null if unknown"}),
    ]
)

MEASURES = pa.schema(
    [
        *_TRACK,
        pa.field("row", pa.int64(), nullable=False),
        pa.field("error", pa.string(), metadata={"meaning": "why it cannot be measured"}),
        *_QUALITY,
        pa.field("step_s", pa.float64(), metadata={"unit": "s, between two poses"}),
        pa.field(
            "poses",
            pa.list_(pa.float16()),
            metadata={"unit": "trunk sizes", "shape": "poses,12,2; limbs12; NaN: not seen"},
        ),
    ]
)
