"""The embeddings format, the result of the embed job: one row is one track, embedded frame by frame at one rate."""

import pyarrow as pa

FORMAT = "raylift.embeddings/1"

EMBEDDINGS = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("video", pa.string(), nullable=False),
        pa.field("frames", pa.int64(), nullable=False, metadata={"meaning": "length of the lists; 0: failed"}),
        pa.field("times_s", pa.list_(pa.float64()), nullable=False, metadata={"unit": "s of the video"}),
        pa.field("vectors", pa.list_(pa.float16()), nullable=False, metadata={"shape": "frames,dimensions"}),
        pa.field("error", pa.string(), metadata={"meaning": "why it cannot be embedded; null if it can"}),
    ]
)
