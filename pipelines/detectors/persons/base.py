"""The protocol of person finders, which return the boxes of the people in frames, and their common options."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, UInt8
from pydantic import Field, field_validator
from torch import Tensor

from pipelines import registry
from pipelines.detectors.weights import Weights, parse_size
from schemas.errors import UserError
from schemas.job_config import JobConfig

# The lowest resolution of the published networks is a 32nd of their input.
COARSEST = 32


class PersonsConfig(JobConfig):
    """Options of the person finder, which detects the people of a frame."""

    name: str = "detr"
    """detr (RT-DETR, RT-DETRv2 or D-FINE, by the weights), whole_frame (one person), or package.module:Class."""

    weights: Weights = "PekingU/rtdetr_v2_r18vd"
    """Folder (any URI) with config.json and model.safetensors, a Hugging Face name, or random:SEED for tests."""

    min_score: float = Field(default=0.3, ge=0, le=1)
    """Lowest score of a detected person, 0 to 1."""

    max_overlap: float = Field(default=0.8, gt=0, le=1)
    """Intersection over union above which two boxes are one person."""

    max_people: int = Field(default=20, ge=1)
    """Largest number of people in one frame; those with the highest scores are kept."""

    every: int = Field(default=1, ge=1)
    """Detect people in every n-th frame and the last of a clip; their boxes are propagated to the frames between."""

    input_size: str | None = Field(default=None, pattern=r"^[1-9]\d*x[1-9]\d*$")
    """HEIGHTxWIDTH that frames are scaled to, pixels, multiples of 32; by default that of the weights, or 640x640."""

    batch_size: int | None = Field(default=None, ge=1)
    """Frames per batch; by default 16 on a GPU and 1 on a CPU."""

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if ":" not in name:
            try:
                registry.load(registry.PERSONS, name)
            except UserError as error:
                raise ValueError(str(error)) from error
        return name

    @field_validator("input_size")
    @classmethod
    def _whole_strides(cls, size: str | None) -> str | None:
        if size is not None:
            parse_size(size, COARSEST)
        return size


@dataclass(frozen=True)
class Boxes:
    """The people of one frame.

    Attributes:
        corners: (x0, y0, x1, y1), pixels, (0, 0) is the frame's corner.
        scores: 0 to 1.
    """

    corners: Float32[np.ndarray, "people 4"]
    scores: Float32[np.ndarray, " people"]

    def __len__(self) -> int:
        """Number of people."""
        return len(self.scores)


@runtime_checkable
class PersonFinder(Protocol):
    """A person finder: built once per process, called with frames on its device.

    `__init__(config, threads, device)` loads the weights.
    """

    weights_sha256: str
    """Identifies the weights; empty if there are none."""

    def __init__(self, config: PersonsConfig, threads: int, device: str) -> None:
        """Load the weights."""
        ...

    def __call__(
        self, frames: UInt8[Tensor, "frames height width 3"]
    ) -> tuple[Float[Tensor, "frames slots 4"], Float[Tensor, "frames slots"]]:
        """Boxes (x0, y0, x1, y1) in pixels and their scores, 0 where a slot is empty, on the frames' device.

        The call must not wait for the device, so that a GPU can continue with the next frames.
        """
        ...
