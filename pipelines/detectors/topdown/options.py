"""The options of every top-down detector."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from pipelines.detectors.heatmaps import Compile, Precision
from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.topdown.decode import KERNELS, Decoding
from schemas.job_config import JobConfig


class TopDownConfig(JobConfig):
    """People are found first, then the joints of each."""

    PRACTICAL: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(("weights", "batch_size", "backend", "channels_last", "compile"), True),
        "persons": {"weights", "batch_size"},
    }
    """Options that say where weights lie or how fast it goes: an output may be continued with others."""

    persons: PersonsConfig = PersonsConfig()
    """How the people of a frame are found."""

    decode: Decoding = "quarter"
    """From heatmap to joint: quarter, dark or udp; udp for weights trained with it."""

    sigma: Literal[1, 2, 3] | None = None
    """Deviation of the heatmaps trained on, heatmap pixels, for dark and udp; none: 3 from 384x288 on, else 2."""

    flip: bool = False
    """Look at the mirror image too and average: about 1 AP for twice the time; published numbers have it."""

    batch_size: int | None = Field(default=None, ge=1)
    """People looked at together; none: 128 on a GPU, 8 on a CPU; halved where memory ends."""

    precision: Precision = "auto"
    """auto (bf16 or fp16 where the device is fast at it), float32, bf16 or fp16."""

    channels_last: bool | None = None
    """Lay filters out pixel by pixel; none: where it is faster, as measured."""

    compile: Compile = "none"
    """none, default (torch.compile: minutes at the start, faster later), or cuda_graphs (that, and CUDA graphs)."""

    backend: Literal["torch", "onnx"] = "torch"
    """torch, or onnx: ONNX Runtime, 1.4 to 1.7 times as fast on CPUs without bf16, slower on those that have it."""

    min_person_score: float = Field(default=0.1, ge=0, le=1)
    """Lowest score of a person kept: box score times the mean of the joint scores above 0.2."""

    max_similarity: float = Field(default=0.9, gt=0, le=1)
    """Object keypoint similarity above which two people are one found twice; 1: none are."""

    nms: Literal["hard", "soft"] = "hard"
    """Of one person found twice, drop the worse (hard) or lower its score (soft)."""

    @field_validator("backend")
    @classmethod
    def _alone(cls, backend: str, others: Any) -> str:
        told = [name for name in ("precision", "channels_last", "compile") if name in others.data]
        wrong = [n for n in told if others.data[n] not in (cls.model_fields[n].default, "float32")]
        if backend == "onnx" and wrong:
            raise ValueError(f"{wrong[0]} is for torch; leave one of the two out")
        return backend

    def kernel(self, input_wh: tuple[int, int]) -> int:
        """Width of the smoothing of dark and udp, heatmap pixels."""
        return KERNELS[self.sigma or (3 if min(input_wh) >= _LARGE_INPUT else 2)]


# Inputs of 384x288 and larger are trained with wider Gaussians.
_LARGE_INPUT = 288
