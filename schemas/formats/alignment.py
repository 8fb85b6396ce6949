"""The alignment format: one row is a stretch of a recording that is in step with the reference performance."""

import pyarrow as pa

FORMAT = "raylift.alignment/1"

ALIGNMENT = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("reference", pa.string(), nullable=False, metadata={"meaning": "track id of the reference"}),
        pa.field("repetition", pa.int32(), nullable=False, metadata={"meaning": "0 is the first of the recording"}),
        pa.field("mirrored", pa.bool_(), nullable=False, metadata={"meaning": "left and right are exchanged"}),
        pa.field("distance", pa.float64(), nullable=False, metadata={"unit": "trunk sizes, mean over time"}),
        pa.field("reference_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s of its video"}),
        pa.field("recording_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s of its video"}),
    ]
)
