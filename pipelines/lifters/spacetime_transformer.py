"""A transformer over the joints and frames of a clip, with the conventions of ViT (Dosovitskiy et al., ICLR 2021).

Each joint of each frame is a token. Blocks attend over the joints of each frame and over the frames of each joint; with
two streams in opposite order it is the DSTformer of MotionBERT (Zhu et al., ICCV 2023, arXiv:2210.06551). Joints that
are missing, and those that are predicted but never seen, are tokens that know only which joint and when.
"""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pipelines.lifters.spacetime_blocks import Block, hops_between
from pipelines.lifters.spacetime_transformer_options import SpacetimeTransformerConfig
from schemas.errors import UserError
from schemas.frame_window import FrameWindow
from schemas.job_config import JobConfig
from schemas.layouts import JointLayout

_EPS = 1e-6
_INITIAL_DEVIATION = 0.02


class SpacetimeTransformer(nn.Module):
    """Keypoints of a clip to 3D joints in every frame; implements `pipelines.lifters.base.Lifter`.

    Args:
        config: The options, a `SpacetimeTransformerConfig`.
        input_layout: Joints of the keypoints.
        output_layout: Joints to predict.
    """

    Config: ClassVar[type[JobConfig]] = SpacetimeTransformerConfig

    def __init__(self, config: JobConfig, input_layout: JointLayout, output_layout: JointLayout) -> None:
        assert isinstance(config, SpacetimeTransformerConfig)
        super().__init__()
        self.input_layout, self.output_layout = input_layout, output_layout
        self.window = FrameWindow.clip(config.frames)
        self.input_features = 3 if config.scores else 2
        self._config = config
        unseen = [joint for joint in output_layout.joints if joint not in input_layout.joints]
        joints = [*input_layout.joints, *unseen]
        self._unseen = len(unseen)
        self._predicted = [joints.index(joint) for joint in output_layout.joints]
        self.embed = nn.Linear(self.input_features, config.channels)
        self.joint_embedding = nn.Parameter(torch.empty(len(joints), config.channels))
        self.frame_embedding = nn.Parameter(torch.empty(config.clip, config.channels))
        hops = hops_between(joints, input_layout, output_layout) if config.bone_bias else None
        self.blocks = nn.ModuleList(Block(config, number, hops) for number in range(config.depth))
        self.norm = nn.LayerNorm(config.channels, eps=_EPS)
        self.representation = nn.Linear(config.channels, config.representation) if config.representation else None
        self.head = nn.Linear(config.representation or config.channels, 3)
        self._initialise()

    def forward(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> Float[Tensor, "batch frames joints_out 3"]:
        """Lift keypoints (screen units) to positions (m, camera space) in every frame of a clip."""
        frames = inputs.shape[1]
        if frames > self.window.inputs:
            raise UserError(f"clip: has {frames} frames, the lifter takes at most {self.window.inputs}; cut it")
        padded = functional.pad(self._hidden(inputs), (0, 0, 0, self._unseen))
        x = self.embed(padded) + self.joint_embedding + self._frame_rows(frames)[:, None]
        for block in self.blocks:
            x = block(x)
        x = self.norm(x[:, :, self._predicted])
        if self.representation is not None:
            x = torch.tanh(self.representation(x))
        return self.head(x)

    def _hidden(self, inputs: Float[Tensor, "batch frames joints_in features"]) -> Tensor:
        """Inputs with zeros where keypoints are missing, and in training where some are hidden."""
        if self.input_features == 2:
            return inputs
        visible = inputs[..., 2:] != 0
        if self.training:
            chance = torch.rand_like(inputs[..., :1])
            of_frame = torch.rand_like(inputs[:, :, :1, :1])
            visible = visible & (chance >= self._config.mask_joints) & (of_frame >= self._config.mask_frames)
        return inputs * visible

    def _frame_rows(self, frames: int) -> Float[Tensor, "frames channels"]:
        """The position embedding as a function of time: between its rows it is interpolated linearly."""
        if self._config.frame_step == 1:
            return self.frame_embedding[:frames]
        times = torch.arange(frames, device=self.frame_embedding.device) * self._config.frame_step
        left = times.floor().long()
        right = (left + 1).clamp(max=len(self.frame_embedding) - 1)
        return self.frame_embedding[left].lerp(self.frame_embedding[right], (times - left)[:, None].float())

    def _initialise(self) -> None:
        for embedding in (self.joint_embedding, self.frame_embedding):
            nn.init.trunc_normal_(embedding, std=_INITIAL_DEVIATION)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_INITIAL_DEVIATION)
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            assert isinstance(block, Block)
            block.share_equally()
