"""What `jobs.synthesize` takes, and the truth format that it writes beside the videos."""

from typing import Annotated

import pyarrow as pa
from pydantic import Field

from schemas import FORMAT_KEY
from schemas.config import JobConfig
from schemas.detections import INTRINSICS

# H.264 in its usual 4:2:0 form halves the colour planes: sides are even.
EvenPixels = Annotated[int, Field(ge=64, le=4096, multiple_of=2)]


class SynthesizeConfig(JobConfig):
    """Videos of synthetic people in motion."""

    output: str = Field(min_length=1)
    """Folder on this machine for videos/, truth/ and manifest.csv."""

    people: int = Field(default=4, ge=1)
    """How many people; each performs one action."""

    seconds: float = Field(default=10.0, gt=0, le=3600)
    """Length of each video, seconds."""

    views: int = Field(default=2, ge=1, le=32)
    """Cameras around each scene; each gives one video of the same performance."""

    people_per_video: int = Field(default=1, ge=1, le=8)
    """People who share a scene."""

    actions: tuple[str, ...] = ()
    """What they do, person after person in turn; empty: every action there is."""

    fps: float = Field(default=30.0, ge=1, le=240)
    """Frames per second."""

    width: EvenPixels = 640
    """Width of the videos, pixels."""

    height: EvenPixels = 640
    """Height of the videos, pixels."""

    seed: int = Field(default=0, ge=0)
    """Another seed gives other people, motions, places and cameras; the same one the same again."""

    workers: int = Field(default=0, ge=0)
    """Videos rendered at a time, a process each; 0: one per CPU."""


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
