"""The predictions format: one row is one annotated image with the people that a detector found in it.

An image that cannot be read is a row with `error`; one in which nobody was found is a finished row without people.
"""

import pyarrow as pa

FORMAT = "raylift.predictions/1"

PERSON = pa.struct(
    [
        pa.field("annotation", pa.int64(), metadata={"meaning": "whose annotated box it is; -1 if no one's"}),
        pa.field("box", pa.list_(pa.float32(), 4), metadata={"unit": "px", "order": "x0 y0 x1 y1"}),
        pa.field("score", pa.float32(), metadata={"meaning": "of the box, or of the person where nobody gave a box"}),
        pa.field("keypoints", pa.list_(pa.float32()), metadata={"unit": "px", "shape": "joints,2"}),
        pa.field("keypoint_scores", pa.list_(pa.float32()), metadata={"shape": "joints"}),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("image_id", pa.int64(), nullable=False),
        pa.field("image", pa.string(), nullable=False, metadata={"meaning": "URI"}),
        pa.field("people", pa.list_(PERSON), nullable=False, metadata={"origin": "corner of the frame"}),
        pa.field("read_s", pa.float64(), metadata={"unit": "s"}),
        pa.field("detect_s", pa.float64(), metadata={"unit": "s, this image's share"}),
        pa.field("error", pa.string(), metadata={"meaning": "why there is no result; retried by the next run"}),
    ]
)
