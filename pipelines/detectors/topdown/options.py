"""The options of every top-down detector."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from pipelines.detectors.heatmaps import Compile, Precision
from pipelines.detectors.persons.base import PersonsConfig
from pipelines.detectors.topdown.decode import KERNELS, Decoding
from schemas.job_config import JobConfig


class TopDownConfig(JobConfig):
    """Options of a detector that finds people first and then the joints of each."""

    PRACTICAL: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(("weights", "batch_size", "backend", "channels_last", "compile"), True),
        "persons": {"weights", "batch_size"},
    }
    """Options that do not change the results, so that an output may be continued with other values."""

    persons: PersonsConfig = PersonsConfig()
    """The person finder, which detects the people of a frame."""

    decode: Decoding = "quarter"
    """How joints are read from heatmaps: quarter, dark or udp; weights trained with UDP need udp."""

    sigma: Literal[1, 2, 3] | None = None
    """Sigma of the training heatmaps, pixels, for dark and udp; by default 3 for crops of at least 384x288, else 2."""

    flip: bool = False
    """Average with the mirror image, as published results do: about 1 AP more for twice the time."""

    batch_size: int | None = Field(default=None, ge=1)
    """People per batch; by default 128 on a GPU and 8 on a CPU; halved if they do not fit the memory."""

    precision: Precision = "auto"
    """Number format: auto (bf16 or fp16 if the device is faster in it, else float32), float32, bf16 or fp16."""

    channels_last: bool | None = None
    """Use PyTorch's channels-last memory format; by default for hrnet, which it makes faster, not for vitpose."""

    compile: Compile = "none"
    """none, default (torch.compile: minutes at the start, faster afterwards), or cuda_graphs (with CUDA graphs too)."""

    backend: Literal["torch", "onnx"] = "torch"
    """torch or onnx; ONNX Runtime is 1.4 to 1.7 times as fast on CPUs without bf16, and slower on CPUs with it."""

    min_person_score: float = Field(default=0.1, ge=0, le=1)
    """Lowest score of a detected person: the box score times the mean of the joint scores above 0.2."""

    max_similarity: float = Field(default=0.9, gt=0, le=1)
    """Object keypoint similarity above which two detections are the same person; 1 keeps all."""

    nms: Literal["hard", "soft"] = "hard"
    """If a person is detected twice, drop the lower score's detection (hard) or lower its score further (soft)."""

    @field_validator("backend")
    @classmethod
    def _alone(cls, backend: str, others: Any) -> str:
        given = [name for name in ("precision", "channels_last", "compile") if name in others.data]
        wrong = [name for name in given if others.data[name] not in (cls.model_fields[name].default, "float32")]
        if backend == "onnx" and wrong:
            raise ValueError(f"{wrong[0]} is for torch; leave one of the two out")
        return backend

    def kernel(self, input_wh: tuple[int, int]) -> int:
        """Width of the smoothing kernel of dark and udp, heatmap pixels."""
        return KERNELS[self.sigma or (3 if min(input_wh) >= _LARGE_INPUT else 2)]


# The published weights for crops of at least 384x288 pixels were trained with wider Gaussians.
_LARGE_INPUT = 288
