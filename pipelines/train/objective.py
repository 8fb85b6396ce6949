"""The joint objective of semi-supervised training (Pavllo et al. 2019, section 4; docs/method.md, losses)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.pose import cameras, losses
from pipelines.sampling.windows import Batch
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.train import ObjectiveConfig
from schemas.layouts import JointLayout, shared_joints


@dataclass(frozen=True)
class Prediction:
    """The model's prediction for a batch.

    Attributes:
        pose: Joints relative to the root, metres.
        trajectory: The root in camera space, metres; None without a trajectory lifter.
    """

    pose: Float[Tensor, "batch chunk joints 3"]
    trajectory: Float[Tensor, "batch chunk 1 3"] | None

    def split(self, first: int) -> "tuple[Prediction, Prediction]":
        """Split into the first samples and the remaining ones."""
        trajectory = self.trajectory
        return (
            Prediction(self.pose[:first], None if trajectory is None else trajectory[:first]),
            Prediction(self.pose[first:], None if trajectory is None else trajectory[first:]),
        )


class Objective:
    """Loss terms over the whole batch, of which each worker computes its share.

    A term is the mean over the samples of all workers. Data-parallel training averages the workers' gradients.
    Therefore a worker's share is the sum over its samples, times the number of workers, divided by the number of
    samples of all workers.

    Args:
        config: Weights of the terms, and the projection.
        input_layout: Joints of the keypoints.
        output_layout: Joints of the poses.
        workers: The workers that share the batches.
        fps: Frames per second of the samples.
    """

    def __init__(
        self,
        config: ObjectiveConfig,
        input_layout: JointLayout,
        output_layout: JointLayout,
        workers: WorkerGroup,
        fps: float,
    ) -> None:
        self._config, self._workers, self._fps = config, workers, fps
        self._bones = losses.bone_ends(output_layout.bones, workers.device)
        self._root = output_layout.parents.index(-1)
        # Keypoints and poses may have different layouts: joints of the same name are compared (docs/method.md, losses).
        pairs = torch.tensor(shared_joints(input_layout, output_layout), device=workers.device)
        self._input_joints, self._output_joints = pairs[:, 0], pairs[:, 1]

    def __call__(
        self, labeled: Batch, prediction: Prediction, unlabeled: Batch | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """This worker's shares of the weighted terms, whose sum is to be minimised.

        Args:
            labeled: Samples with positions.
            prediction: The prediction for the labeled samples, followed by that for the unlabeled ones.
            unlabeled: Samples without positions; None during warm-up and in supervised training.
        """
        config = self._config
        supervised, unsupervised = prediction.split(len(labeled))
        assert labeled.positions is not None
        root = labeled.positions[:, :, self._root, None]
        pose = supervised.pose, labeled.positions - root
        terms = {"pose": config.pose * self._mean(losses.mpjpe(*pose, per_sample=True))}
        if config.scale_free:
            terms["scale_free"] = config.scale_free * self._mean(losses.n_mpjpe(*pose, per_sample=True))
        if config.velocity:
            terms["velocity"] = config.velocity * self._fps * self._mean(losses.mpjve(*pose, per_sample=True))
        if supervised.trajectory is not None:
            error = losses.depth_weighted_mpjpe(supervised.trajectory, root, per_sample=True)
            terms["trajectory"] = config.trajectory * self._mean(error)
        if unlabeled is not None:
            if config.projection != "none":
                terms["reprojection"] = config.reprojection * self._reprojection(unsupervised, unlabeled)
            # Left out if its weight is 0, because 0 times an infinite length is not 0.
            if config.bone_length:
                gap = losses.bone_length_gap(self._bone_lengths(supervised.pose), self._bone_lengths(unsupervised.pose))
                terms["bone_length"] = config.bone_length * gap
        return terms

    def _reprojection(self, prediction: Prediction, batch: Batch) -> Float[Tensor, ""]:
        keypoints, confidence = batch.keypoints[:, :, self._input_joints], batch.scores[:, :, self._input_joints]
        pose = prediction.pose[:, :, self._output_joints]
        if self._config.projection == "orthographic":
            projected = cameras.project_orthographic(pose, keypoints, confidence)
        else:
            assert prediction.trajectory is not None
            assert batch.cameras is not None
            project = cameras.project if self._config.projection == "full" else cameras.project_linear
            projected = project(pose + prediction.trajectory, batch.cameras[:, None, None])
        if not self._config.confidence_weighted:
            return self._mean(losses.reprojection_error(projected, keypoints, per_sample=True))
        errors = losses.reprojection_error(projected, keypoints, confidence, per_sample=True)
        return self._mean(errors, confidence.mean((1, 2)))

    def _bone_lengths(self, pose: Float[Tensor, "batch chunk joints 3"]) -> Float[Tensor, " bones"]:
        """Mean bone lengths over the samples of all workers."""
        lengths = losses.bone_lengths(pose, self._bones)
        return self._workers.sum(lengths.sum(0)) / self._total(lengths.new_full((), len(lengths)))

    def _mean(
        self, values: Float[Tensor, " batch"], weights: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, ""]:
        """This worker's share of the (weighted) mean over the samples of all workers; 0 if all weights are 0."""
        if weights is None:
            total, weight = values.sum(), values.new_full((), len(values))
        else:
            total, weight = (values * weights).sum(), weights.sum()
        return total * self._workers.size / self._total(weight).clamp(min=torch.finfo(weight.dtype).tiny)

    def _total(self, weight: Float[Tensor, ""]) -> Float[Tensor, ""]:
        with torch.no_grad():
            return self._workers.sum(weight.clone())
