"""The options of `ResidualMlp`, in a module without torch: `raylift train --help` reads them."""

from pydantic import Field

from schemas.job_config import JobConfig


class ResidualMlpConfig(JobConfig):
    """The options of `lifter.name=residual_mlp`."""

    channels: int = Field(default=1024, ge=1)
    """Channels of every hidden layer."""

    stages: int = Field(default=2, ge=1, le=1000)
    """Residual blocks, of two layers each."""

    dropout: float = Field(default=0.5, ge=0, lt=1)
    """Share of hidden activations set to 0 while training; CPUs round it to 1/256."""

    scores: bool = False
    """Read the keypoints' scores as a third input channel; keypoints of score 0 are missing."""

    unread: tuple[str, ...] = ()
    """Joints of the keypoints that it does not read; the published lifter reads all of h36m17 but neck."""

    max_norm: bool = False
    """Divide each weight matrix by its Frobenius norm where that is above 1, as the original code does. The other
    limit of that name, of later code, is optimization.clip_gradient_norm=1."""
