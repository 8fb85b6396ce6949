"""The options of the detectors that use MoveNet, in a module without torch: `raylift lift --help` reads them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from pipelines.detectors.blazepose.options import Model
from schemas.job_config import Address, JobConfig

# Both sides of the network's input must be multiples of this.
INPUT_MULTIPLE = 32


class MoveNetConfig(JobConfig):
    """The options of `detector.name=movenet`."""

    weights: Address | None = None
    """Folder with the two model files; by default the cache, to which they are downloaded on first use."""

    input_side: int = Field(default=512, ge=128, le=2048, multiple_of=INPUT_MULTIPLE)
    """Longer side of the network's input, pixels; larger finds smaller people, at a cost that grows with its square."""

    max_people: int = Field(default=6, ge=1, le=50)
    """Largest number of people in one frame; those with the highest scores are kept. The published model's is 6."""

    min_person_score: float = Field(default=0.35, ge=0, le=1)
    """Lowest score of a detected person, 0 to 1: the geometric mean of the scores of the centre and the joints."""

    max_similarity: float = Field(default=0.6, gt=0, le=1)
    """Object keypoint similarity above which two detections are the same person."""


class MoveNetBlazePoseConfig(MoveNetConfig):
    """The options of `detector.name=movenet_blazepose`; `weights` is a folder with the files of both models."""

    model: Model = "full"
    """BlazePose's model: full, or heavy, which is more exact and takes 5 times as long, 0.06 s a person more."""

    min_agreement: float = Field(default=0.5, ge=0, le=1)
    """Object keypoint similarity of both detectors' joints from which on BlazePose's are taken, 0 to 1."""

    BEFORE: ClassVar[Mapping[str, Any]] = {"layout": "coco17"}

    layout: Literal["coco21", "coco17"] = "coco21"
    """Joints of the result: the 17 of COCO with heels and tips of the feet, which BlazePose alone sees, or without."""
