"""The protocol of a temporal lifter, which turns 2D keypoints over time into one 3D skeleton per predicted frame."""

from typing import ClassVar, Protocol, cast, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from pipelines import registry
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig, PluginConfig
from schemas.layouts import JointLayout


@runtime_checkable
class Lifter(Protocol):
    """A `torch.nn.Module` that is built from its options, the joints it reads and the joints it predicts."""

    Config: ClassVar[type[JobConfig]]
    """The options under `lifter.` in a job's config."""

    input_layout: JointLayout
    """The joints of the keypoints it reads."""

    output_layout: JointLayout
    """The joints it predicts."""

    window: FrameWindow
    """The frames it reads, and which of them it predicts."""

    input_features: int
    """Numbers per keypoint: 2 for (x, y), 3 for (x, y, score)."""

    def __init__(self, config: JobConfig, input_layout: JointLayout, output_layout: JointLayout) -> None:
        """Build it with fresh weights."""
        ...

    def __call__(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> Float[Tensor, "batch frames_out joints_out 3"]:
        """Predict all frames with as many frames around them as it reads; frames_out = frames - window.context.

        Args:
            inputs: Keypoints in screen units: x in [-1, 1] across the image's width, aspect kept.

        Returns:
            Metres in camera space, in the output layout.
        """
        ...


@runtime_checkable
class WithStatistics(Protocol):
    """A lifter that keeps statistics of the training data in its buffers."""

    needs_statistics: bool
    """Whether they have to be set before the first step of a training."""

    def fit_statistics(
        self,
        inputs: Float[Tensor, "batch frames joints_in features"],
        positions: Float[Tensor, "batch frames_out joints_out 3"],
    ) -> None:
        """Compute them from training samples.

        Args:
            inputs: What the lifter reads.
            positions: What it should predict.
        """
        ...


def needs_statistics(lifter: Lifter) -> bool:
    """Whether a lifter's statistics have to be set before it is trained."""
    return isinstance(lifter, WithStatistics) and lifter.needs_statistics


def build_lifter(config: PluginConfig, input_layout: JointLayout, output_layout: JointLayout) -> Lifter:
    """The lifter that a config names, with fresh weights.

    Raises:
        UserError: There is no such lifter.
        pydantic.ValidationError: The lifter has no such options.
    """
    lifter = cast(
        type[Lifter], registry.load_network(registry.LIFTERS, "lifter", config.name, "pipelines.lifters.base")
    )
    built = lifter(lifter.Config(**config.options), input_layout, output_layout)
    if not isinstance(getattr(built, "window", None), FrameWindow):
        raise UserError(
            f"lifter.name={config.name}: has no window; set window = FrameWindow.sliding(frames), or .clip(frames), of "
            "schemas.frame_window, in place of receptive_field and causal"
        )
    return built
