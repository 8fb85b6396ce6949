"""The joint objective of semi-supervised training (Pavllo et al. 2019, §4; lifting.md §1.10)."""

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
    """What the model says of a batch.

    Attributes:
        pose: Metres, about the root.
        trajectory: The root in camera space, metres; None without a trajectory net.
    """

    pose: Float[Tensor, "batch chunk joints 3"]
    trajectory: Float[Tensor, "batch chunk 1 3"] | None

    def split(self, first: int) -> "tuple[Prediction, Prediction]":
        """The first samples, and the others."""
        trajectory = self.trajectory
        return (
            Prediction(self.pose[:first], None if trajectory is None else trajectory[:first]),
            Prediction(self.pose[first:], None if trajectory is None else trajectory[first:]),
        )


class Objective:
    """Loss terms over the batch of all workers; each worker computes its share.

    A term is the mean over all samples of all workers. Data-parallel training averages the workers' gradients, so
    that a worker's share of a mean is its sum times the number of workers over the number of samples of all.

    Args:
        config: Weights and mode.
        input_layout: Joints of the keypoints.
        output_layout: Joints of the poses.
        workers: Who shares the batches.
    """

    def __init__(
        self, config: ObjectiveConfig, input_layout: JointLayout, output_layout: JointLayout, workers: WorkerGroup
    ) -> None:
        self._config, self._workers = config, workers
        self._bones = output_layout.bones
        self._root = output_layout.parents.index(-1)
        # Trap 1 of lifting.md: keypoints and poses are compared joint by joint of the same name.
        pairs = torch.tensor(shared_joints(input_layout, output_layout), device=workers.device)
        self._seen, self._predicted = pairs[:, 0], pairs[:, 1]

    def __call__(
        self, labeled: Batch, prediction: Prediction, unlabeled: Batch | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """This worker's shares of the weighted terms; their sum is what to minimise.

        Args:
            labeled: Samples with positions.
            prediction: Of the labeled samples, then of the unlabeled ones.
            unlabeled: Samples without; None while warming up, or without such data.
        """
        config = self._config
        known, guessed = prediction.split(len(labeled))
        assert labeled.positions is not None
        root = labeled.positions[:, :, self._root, None]
        terms = {"pose": config.pose * self._mean(losses.mpjpe(known.pose, labeled.positions - root, per_sample=True))}
        if known.trajectory is not None:
            error = losses.depth_weighted_mpjpe(known.trajectory, root, per_sample=True)
            terms["trajectory"] = config.trajectory * self._mean(error)
        if unlabeled is not None:
            if config.projection != "none":
                terms["reprojection"] = config.reprojection * self._reprojection(guessed, unlabeled)
            # Not multiplied out when it is off: 0 times a diverging length is not 0.
            if config.bone_length:
                gap = losses.bone_length_gap(self._bone_lengths(known.pose), self._bone_lengths(guessed.pose))
                terms["bone_length"] = config.bone_length * gap
        return terms

    def _reprojection(self, prediction: Prediction, batch: Batch) -> Float[Tensor, ""]:
        keypoints, confidence = batch.keypoints[:, :, self._seen], batch.scores[:, :, self._seen]
        pose = prediction.pose[:, :, self._predicted]
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
        """Mean bone lengths over the samples of all workers: the same number for each of them."""
        lengths = losses.bone_lengths(pose, self._bones)
        return self._workers.sum(lengths.sum(0)) / self._total(lengths.new_tensor(float(len(lengths))))

    def _mean(
        self, values: Float[Tensor, " batch"], weights: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, ""]:
        """This worker's share of the (weighted) mean over the samples of all workers; 0 where there is no weight."""
        if weights is None:
            total, weight = values.sum(), values.new_tensor(float(len(values)))
        else:
            total, weight = (values * weights).sum(), weights.sum()
        return total * self._workers.size / self._total(weight).clamp(min=torch.finfo(weight.dtype).tiny)

    def _total(self, weight: Float[Tensor, ""]) -> Float[Tensor, ""]:
        with torch.no_grad():
            return self._workers.sum(weight.clone())
