"""A multilayer perceptron with residual connections over single frames: Martinez et al., ICCV 2017 (arXiv:1705.03098).

It works on standardised numbers. The statistics of the training data are buffers of the model, so that
its input and output are those of every other lifter.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.lifters.residual_mlp_options import ResidualMlpConfig
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout

# Coordinates that vary less than this are constant, such as those of a root relative to itself; they are only centred.
_LEAST_DEVIATION = 1e-6


class ResidualMlp(nn.Module):
    """Keypoints of a frame to 3D joints; implements `pipelines.lifters.base.Lifter` and `WithStatistics`.

    Args:
        config: The options, a `ResidualMlpConfig`.
        input_layout: Joints of the keypoints.
        output_layout: Joints to predict; the root of several is 0 and not predicted.

    Raises:
        UserError: A joint in `unread` is not among the keypoints, or no joint is left to read.
    """

    Config: ClassVar[type[JobConfig]] = ResidualMlpConfig
    needs_statistics = True

    input_mean: Tensor
    input_deviation: Tensor
    output_mean: Tensor
    output_deviation: Tensor

    def __init__(self, config: JobConfig, input_layout: JointLayout, output_layout: JointLayout) -> None:
        assert isinstance(config, ResidualMlpConfig)
        super().__init__()
        self.input_layout, self.output_layout = input_layout, output_layout
        self.window = FrameWindow.sliding(1)
        self.input_features = 3 if config.scores else 2
        self._read = _joints_read(config, input_layout)
        root = output_layout.parents.index(-1)
        self._predicted = [joint for joint in range(len(output_layout)) if joint != root or len(output_layout) == 1]
        self.register_buffer("input_mean", torch.zeros(len(self._read), 2))
        self.register_buffer("input_deviation", torch.ones(len(self._read), 2))
        self.register_buffer("output_mean", torch.zeros(len(self._predicted), 3))
        self.register_buffer("output_deviation", torch.ones(len(self._predicted), 3))
        self.first = Layer(len(self._read) * self.input_features, config)
        self.stages = nn.ModuleList(
            nn.Sequential(Layer(config.channels, config), Layer(config.channels, config)) for _ in range(config.stages)
        )
        self.last = _Linear(config.channels, 3 * len(self._predicted), config.max_norm)
        nn.init.kaiming_normal_(self.last.weight)

    def forward(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> Float[Tensor, "batch frames joints_out 3"]:
        """Lift keypoints (screen units) to positions (m, camera space), each frame for itself."""
        batch, frames = inputs.shape[:2]
        x = self.first(self._standardised(inputs).reshape(batch * frames, -1))
        for stage in self.stages:
            x = x + stage(x)
        predicted = self.last(x).view(batch, frames, -1, 3) * self.output_deviation + self.output_mean
        positions = predicted.new_zeros(batch, frames, len(self.output_layout), 3)
        positions[:, :, self._predicted] = predicted
        return positions

    def fit_statistics(
        self,
        inputs: Float[Tensor, "batch frames joints_in features"],
        positions: Float[Tensor, "batch frames joints_out 3"],
    ) -> None:
        """Take mean and standard deviation of each coordinate from training samples; missing keypoints do not count."""
        read = inputs[:, :, self._read].flatten(0, 1)
        known = torch.ones_like(read[..., :1]) if self.input_features == 2 else (read[..., 2:] != 0).to(read.dtype)
        count = known.sum(0).clamp_min(1)
        self.input_mean.copy_((read[..., :2] * known).sum(0) / count)
        variance = ((read[..., :2] - self.input_mean).square() * known).sum(0) / count
        self.input_deviation.copy_(_deviation(variance))
        predicted = positions[:, :, self._predicted].flatten(0, 1)
        self.output_mean.copy_(predicted.mean(0))
        self.output_deviation.copy_(_deviation(predicted.var(0, correction=0)))

    def _standardised(self, inputs: Float[Tensor, "batch frames joints_in features"]) -> Tensor:
        read = inputs[:, :, self._read]
        points = (read[..., :2] - self.input_mean) / self.input_deviation
        if self.input_features == 2:
            return points
        scores = read[..., 2:]
        return torch.cat([points * (scores != 0), scores], dim=-1)


class Layer(nn.Module):
    """Linear, batch norm, ReLU, dropout."""

    def __init__(self, features: int, config: ResidualMlpConfig) -> None:
        super().__init__()
        self.product = _Linear(features, config.channels, config.max_norm)
        nn.init.kaiming_normal_(self.product.weight)
        self.activation = BatchNormActivation(config.channels, config.dropout)

    def forward(self, x: Float[Tensor, "samples features"]) -> Float[Tensor, "samples channels"]:
        """One hidden layer."""
        return self.activation(self.product(x))


class _Linear(nn.Linear):
    """A linear layer whose weight may be limited in its norm; gradients flow through the norm."""

    def __init__(self, features: int, channels: int, max_norm: bool) -> None:
        super().__init__(features, channels)
        self._max_norm = max_norm

    def forward(self, input: Tensor) -> Tensor:
        """The product, and the bias as it is."""
        weight = limited(self.weight) if self._max_norm else self.weight
        return functional.linear(input, weight, self.bias)


def limited(weight: Float[Tensor, "channels features"]) -> Float[Tensor, "channels features"]:
    """A matrix divided by its Frobenius norm if that is above 1."""
    return weight / torch.linalg.matrix_norm(weight).clamp_min(1)


def _deviation(variance: Tensor) -> Tensor:
    deviation = variance.sqrt()
    return torch.where(deviation < _LEAST_DEVIATION, 1.0, deviation)


def _joints_read(config: ResidualMlpConfig, layout: JointLayout) -> list[int]:
    unknown = [joint for joint in config.unread if joint not in layout.joints]
    if unknown:
        raise UserError(
            f"lifter.unread={unknown[0]}: {layout.name} has no such joint; it has {', '.join(layout.joints)}"
        )
    read = [number for number, joint in enumerate(layout.joints) if joint not in config.unread]
    if not read:
        raise UserError(f"lifter.unread: leaves no joint of {layout.name}; give fewer")
    return read
