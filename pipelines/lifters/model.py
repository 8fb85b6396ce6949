"""The model that is trained and shipped: a lifter of poses and, optionally, one of the root's trajectory."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pipelines.lifters.base import Lifter, WithStatistics, build_lifter, needs_statistics
from pipelines.lifters.batch_norm import BatchNormActivation
from pipelines.lifters.edge_popup import MaskedWeight
from pipelines.lifters.person_centred import build_person_centred
from schemas.configs.train import LifterInput
from schemas.job_config import PluginConfig
from schemas.layouts import JointLayout


class LiftingModel(nn.Module):
    """Two lifters of the same architecture: one predicts poses relative to the root, one where the root is.

    Args:
        pose: Predicts the joints relative to the root.
        trajectory: Predicts one joint, the root, in camera space; None: poses only.
    """

    def __init__(self, pose: Lifter, trajectory: Lifter | None) -> None:
        super().__init__()
        self.pose = pose
        self.trajectory = trajectory

    def forward(
        self, inputs: Float[Tensor, "batch frames joints_in features"]
    ) -> tuple[Float[Tensor, "batch frames_out joints_out 3"], Float[Tensor, "batch frames_out 1 3"] | None]:
        """Lift keypoints (screen units) to poses and the root's trajectory (m, camera space).

        frames_out = frames - window.context.
        """
        return self.pose(inputs), None if self.trajectory is None else self.trajectory(inputs)

    @property
    def needs_statistics(self) -> bool:
        """Whether statistics of training samples have to be set before the first step."""
        return needs_statistics(self.pose)

    @torch.no_grad()
    def fit_statistics(
        self,
        inputs: Float[Tensor, "batch frames joints_in features"],
        positions: Float[Tensor, "batch frames_out joints_out 3"],
    ) -> None:
        """Set the statistics of both lifters from training samples.

        Args:
            inputs: Screen units, with scores if the lifters read them.
            positions: All joints in camera space, m.
        """
        root = positions[:, :, self.pose.output_layout.parents.index(-1), None]
        for lifter, targets in ((self.pose, positions - root), (self.trajectory, root)):
            if isinstance(lifter, WithStatistics):
                lifter.fit_statistics(inputs, targets)

    def set_bn_momentum(self, momentum: float) -> None:
        """Set the momentum of every batch norm: as in PyTorch, the weight of the newest batch in running statistics."""
        for module in self.modules():
            if isinstance(module, BatchNormActivation):
                module.set_momentum(momentum)
            elif isinstance(module, _BatchNorm):  # PyTorch's own class, and that of `sync_batch_norm`
                module.momentum = momentum

    @torch.no_grad()
    def measure_statistics(self, batches: Iterable[Float[Tensor, "_ frames joints_in features"]]) -> None:
        """Take the running statistics of every batch norm in training mode anew: their mean over batches of inputs."""
        for number, inputs in enumerate(batches, 1):
            self.set_bn_momentum(1 / number)
            self(inputs)

    @property
    def statistics_lag(self) -> bool:
        """Whether running statistics lag behind training, because a step may exchange masked weights for others."""
        masked, normalised = (
            any(isinstance(module, kinds) for module in self.modules())
            for kinds in (MaskedWeight, BatchNormActivation | _BatchNorm)
        )
        return masked and normalised


def build_model(
    config: PluginConfig,
    input_layout: JointLayout,
    output_layout: JointLayout,
    trajectory: bool,
    lifter_input: LifterInput = "screen",
) -> LiftingModel:
    """Build a model with fresh weights from PyTorch's default random generator.

    Args:
        config: The lifter and its options; both lifters have the same.
        input_layout: Joints of the keypoints.
        output_layout: Joints of the poses.
        trajectory: Whether to predict the root's trajectory.
        lifter_input: How the keypoints are given to it.

    Raises:
        UserError: There is no such lifter, or it cannot read such keypoints.
    """
    build = build_person_centred if lifter_input == "person_centred" else build_lifter
    pose = build(config, input_layout, output_layout)
    return LiftingModel(pose, build(config, input_layout, root_of(output_layout)) if trajectory else None)


def root_of(layout: JointLayout) -> JointLayout:
    """The layout of a trajectory, which is the root alone."""
    return JointLayout(f"{layout.name}.root", (layout.joints[layout.parents.index(-1)],), (-1,))
