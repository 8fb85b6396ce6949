"""A temporal convolution network over keypoints: Pavllo et al., CVPR 2019 (arXiv:1811.11742), section 3.

A convolution is the matrix product of its weight with windows of frames. Over a track of any length these windows
overlap (the dense form). Predicting only the one frame for which `window.inputs` frames suffice needs only windows
that do not overlap. Such windows lie in memory as they are, so that the network is a chain of plain matrix products
(the training form), 5 to 15 times cheaper. Both forms give the same prediction with the same weights.
"""

from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.lifters.temporal_conv_options import TemporalConvConfig
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout


class TemporalConv(nn.Module):
    """Keypoints over time to 3D joints; implements `pipelines.lifters.base.Lifter`.

    Args:
        config: The options, a `TemporalConvConfig`.
        input_layout: Joints of the keypoints.
        output_layout: Joints to predict.
    """

    Config: ClassVar[type[JobConfig]] = TemporalConvConfig
    # The last layer, which outputs x, y, z of one joint after the other (`pipelines.lifters.other_joints`).
    LAST_LAYER: ClassVar[str] = "shrink"

    def __init__(self, config: JobConfig, input_layout: JointLayout, output_layout: JointLayout) -> None:
        assert isinstance(config, TemporalConvConfig)
        super().__init__()
        self.input_layout = input_layout
        self.output_layout = output_layout
        self.input_features = 3 if config.scores else 2
        first, *rest = config.filter_widths
        self.expand = Layer(len(input_layout) * self.input_features, first, 1, config)
        blocks, reach = [], first
        for width in rest:
            blocks.append(Block(width, reach, config))
            reach *= width
        self.window = FrameWindow.sliding(reach, causal=config.causal)
        self.blocks = nn.ModuleList(blocks)
        self.shrink = nn.Linear(config.channels, 3 * len(output_layout))
        self.is_dense = config.dense

    @property
    def conv_blocks(self) -> "list[Block]":
        """The blocks, with their type."""
        return cast("list[Block]", list(self.blocks))

    def cast_weights(self) -> list[nn.Parameter]:
        """Those of the matrix products; see `pipelines.training.cast_weights`."""
        products = [module for module in self.modules() if isinstance(module, nn.Linear)]
        return [weight for product in products for weight in product.parameters()]

    def forward(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> Float[Tensor, "batch frames_out joints_out 3"]:
        """Lift keypoints (screen units) to positions (m, camera space); frames_out = frames - window.context."""
        batch, frames = inputs.shape[:2]
        assert frames >= self.window.inputs, f"{frames} frames, fewer than the {self.window.inputs} of the window"
        apart = frames == self.window.inputs and not self.is_dense
        x = self.expand(inputs.flatten(2), apart)
        for block in self.blocks:
            x = block(x, apart)
        return self.shrink(x).view(batch, frames - self.window.context, -1, 3)


class Layer(nn.Module):
    """A convolution over time without bias, followed by batch norm, ReLU and dropout."""

    def __init__(self, features: int, width: int, dilation: int, config: TemporalConvConfig) -> None:
        super().__init__()
        self.width, self.dilation = width, dilation
        # The weight is (channels, width * features), because the frames of a window are adjacent, as in the
        # activations.
        self.product = nn.Linear(width * features, config.channels, bias=False)
        self.activation = BatchNormActivation(config.channels, config.dropout)

    def forward(
        self, x: Float[Tensor, "batch frames features"], apart: bool
    ) -> Float[Tensor, "batch frames_out channels"]:
        """Filter; with `apart`, windows do not overlap, and frames_out = frames / width."""
        if not apart and self.width > 1:
            reach = (self.width - 1) * self.dilation + 1
            x = x.unfold(1, reach, 1)[..., :: self.dilation].transpose(2, 3)
        samples = self.product(x.reshape(-1, self.product.in_features))
        return self.activation(samples).view(len(x), -1, samples.shape[1])

    def forward_and_keep(
        self, x: Float[Tensor, "batch frames channels"], kept: int
    ) -> tuple[Float[Tensor, "batch frames_out channels"], Float[Tensor, "batch frames_out channels"]]:
        """Filter windows that do not overlap; also return input frame `kept` of each window."""
        windows = x.reshape(-1, self.product.in_features)
        samples, frames = _ProductAndFrame.apply(windows, self.product.weight, kept)
        return self.activation(samples).view(len(x), -1, samples.shape[1]), frames.view(len(x), -1, x.shape[2])


class Block(nn.Module):
    """A convolution over time and one within the frame, with a residual connection around both."""

    def __init__(self, width: int, reach: int, config: TemporalConvConfig) -> None:
        super().__init__()
        # The frames before the predicted one that the wide filter consumes.
        self.lost_before = (width - 1) * reach // (1 if config.causal else 2)
        self.kept = width - 1 if config.causal else width // 2
        dense = (config.channels, (width - 1) * reach + 1, 1, config)
        self.wide = Layer(*dense) if config.dense else Layer(config.channels, width, reach, config)
        self.pointwise = Layer(config.channels, 1, 1, config)

    def forward(
        self, x: Float[Tensor, "batch frames channels"], apart: bool
    ) -> Float[Tensor, "batch frames_out channels"]:
        """Add the output of the two filters to the input frames that are left."""
        if apart:
            wide, carried = self.wide.forward_and_keep(x, self.kept)
            return carried + self.pointwise(wide, apart)
        y = self.pointwise(self.wide(x, apart), apart)
        return y + x[:, self.lost_before : self.lost_before + y.shape[1]]


class _ProductAndFrame(torch.autograd.Function):
    """windows · weightᵀ, and one frame of each window, whose gradient PyTorch would pad with zeros."""

    @staticmethod
    def forward(ctx: Any, windows: Tensor, weight: Tensor, kept: int) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(windows, weight)
        ctx.kept = kept
        return functional.linear(windows, weight), windows.view(len(windows), -1, len(weight))[:, kept].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        windows, weight = ctx.saved_tensors
        product, frame = grads
        # Under autocast, the product has half the precision of the weight; PyTorch converts the gradients back.
        weight, narrow = weight.to(product.dtype), windows.to(product.dtype)
        windows_grad = product @ weight
        # Not `+=`, which would write the sum into its place once more.
        windows_grad.view(len(windows), -1, len(weight))[:, ctx.kept].add_(frame)
        return windows_grad, product.T @ narrow, None
