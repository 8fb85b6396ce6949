"""What a temporal lifter is: 2D keypoints over time in, one 3D skeleton per predicted frame out."""

from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from pipelines import registry
from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig
from schemas.layouts import JointLayout


@runtime_checkable
class Lifter(Protocol):
    """A lifter is a `torch.nn.Module`, built from its options and the layouts it reads and writes."""

    Config: ClassVar[type[JobConfig]]
    """The options under `lifter.` in a job's config."""

    input_layout: JointLayout
    """The joints of the keypoints it reads."""

    output_layout: JointLayout
    """The joints it predicts."""

    receptive_field: int
    """Input frames that one prediction sees; odd."""

    causal: bool
    """Whether a prediction is for the last frame that it sees; else it is for the middle one."""

    input_features: int
    """Channels of a keypoint: 2 for (x, y), 3 for (x, y, score)."""

    def __init__(self, config: JobConfig, input_layout: JointLayout, output_layout: JointLayout) -> None:
        """Build it with fresh weights."""
        ...

    def __call__(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> Float[Tensor, "batch frames_out joints_out 3"]:
        """Lift; frames_out = frames - receptive_field + 1.

        Args:
            inputs: Keypoints in screen units: x in [-1, 1] across the image's width, aspect kept.

        Returns:
            Metres in camera space, in the output layout.
        """
        ...


def build_lifter(config: PluginConfig, input_layout: JointLayout, output_layout: JointLayout) -> Lifter:
    """The lifter that a config names, with fresh weights.

    Raises:
        UserError: There is no such lifter.
        pydantic.ValidationError: It has no such options.
    """
    found: Any = registry.load(registry.LIFTERS, config.name)
    # The name may come from a checkpoint, and must not call just anything.
    if not (isinstance(found, type) and issubclass(found, nn.Module) and hasattr(found, "Config")):
        raise UserError(
            f"lifter.name={config.name}: must be a torch.nn.Module with a Config; see pipelines.lifters.base"
        )
    lifter = cast(type[Lifter], found)
    return lifter(lifter.Config(**config.options), input_layout, output_layout)
