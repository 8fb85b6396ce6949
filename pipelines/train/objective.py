"""The joint objective of semi-supervised training (Pavllo et al. 2019, section 4; docs/method.md, losses)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pipelines.pose import cameras, losses
from pipelines.pose.placing import place
from pipelines.pose.rays import undistorted
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
        sizes = [first, len(self.pose) - first]
        if not sizes[1]:
            return self, Prediction(self.pose[first:], None)
        trajectories = (None, None) if self.trajectory is None else self.trajectory.split(sizes)
        one, other = map(Prediction, self.pose.split(sizes), trajectories)
        return one, other


class Objective:
    """Loss terms over the whole batch, of which each worker computes its share.

    A term is the mean over the samples of all workers. Data-parallel training averages the workers' gradients.
    Therefore a worker's share is the sum over its samples, times the number of workers, divided by the number of
    samples of all workers, which every batch knows. Workers exchange only what the host cannot know: their sums of
    bone lengths, and of confidences if these are weights.

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
        # Keypoints and poses may have different layouts, so joints of the same name are compared (docs/method.md,
        # losses).
        pairs = torch.tensor(shared_joints(input_layout, output_layout), device=workers.device)
        self._input_joints, self._output_joints = pairs[:, 0], pairs[:, 1]

    def __call__(
        self, labeled: Batch, prediction: Prediction, unlabeled: Batch | None = None, parts: int = 1
    ) -> dict[str, Float[Tensor, ""]]:
        """This worker's shares of the weighted terms, whose sum is to be minimised.

        Args:
            labeled: Samples with positions.
            prediction: The prediction for the labeled samples, followed by that for the unlabeled ones.
            unlabeled: Samples without positions; None during warm-up and in supervised training.
            parts: Number of parts of the batch that are computed apart, and of which these samples are one. The sums
                of their terms are the terms of the batch, except those that compare samples with each other.
        """
        config = self._config
        supervised, unsupervised = prediction.split(len(labeled))
        assert labeled.positions is not None
        root = labeled.positions[:, :, self._root, None]
        pose = supervised.pose, labeled.positions - root
        terms = {"pose": config.pose * self._mean(losses.mpjpe(*pose, per_sample=True), labeled)}
        if config.scale_free:
            terms["scale_free"] = config.scale_free * self._mean(losses.n_mpjpe(*pose, per_sample=True), labeled)
        if config.velocity:
            terms["velocity"] = config.velocity * self._fps * self._mean(losses.mpjve(*pose, per_sample=True), labeled)
        if supervised.trajectory is not None:
            error = losses.depth_weighted_mpjpe(supervised.trajectory, root, per_sample=True)
            terms["trajectory"] = config.trajectory * self._mean(error, labeled)
        if unlabeled is not None:
            if config.projection != "none":
                terms["reprojection"] = config.reprojection * self._reprojection(unsupervised, unlabeled, parts)
            # The term is left out if its weight is 0, because 0 times an infinite length is not 0.
            if config.bone_length:
                lengths = losses.bone_lengths(prediction.pose, self._bones).split([len(labeled), len(unlabeled)])
                known, guessed = self._workers.sum(torch.stack([part.sum(0) for part in lengths])).unbind()
                gap = losses.bone_length_gap(known / labeled.total, guessed / unlabeled.total)
                terms["bone_length"] = config.bone_length * gap
        return terms

    def _reprojection(self, prediction: Prediction, batch: Batch, parts: int) -> Float[Tensor, ""]:
        keypoints, confidence = batch.keypoints[:, :, self._input_joints], batch.scores[:, :, self._input_joints]
        pose = prediction.pose[:, :, self._output_joints]
        if self._config.projection == "orthographic":
            projected = cameras.project_orthographic(pose, keypoints, confidence)
        else:
            projected = self._project(pose, prediction.trajectory, keypoints, confidence, batch)
        if not self._config.confidence_weighted:
            return self._mean(losses.reprojection_error(projected, keypoints, per_sample=True), batch)
        errors = losses.reprojection_error(projected, keypoints, confidence, per_sample=True)
        # 0 if all weights are 0.
        weights = confidence.mean((1, 2))
        total = self._workers.sum(weights.sum()).clamp(min=torch.finfo(weights.dtype).tiny)
        # The weights of each part add up to 1, so that the mean of the parts is taken.
        return (errors * weights).sum() * (self._workers.size / parts) / total

    def _project(
        self,
        pose: Float[Tensor, "batch frames joints 3"],
        trajectory: Float[Tensor, "batch frames 1 3"] | None,
        keypoints: Float[Tensor, "batch frames joints 2"],
        confidence: Float[Tensor, "batch frames joints"],
        batch: Batch,
    ) -> Float[Tensor, "batch frames joints 2"]:
        """Where the cameras of the batch would see the joints of a pose."""
        assert batch.cameras is not None
        camera = batch.cameras[:, None, None]
        if self._config.projection == "fitted":
            weights = confidence if self._config.confidence_weighted else torch.ones_like(confidence)
            slopes = undistorted((keypoints - camera[..., 2:4]) / camera[..., :2], camera, fisheyes=batch.fisheyes)
            trajectory = place(pose, slopes, weights)[..., None, :]
        assert trajectory is not None
        project = cameras.project_linear if self._config.projection == "linear" else cameras.project
        return project(pose + trajectory, camera, fisheyes=batch.fisheyes)

    def _mean(self, values: Float[Tensor, " batch"], batch: Batch) -> Float[Tensor, ""]:
        """This worker's share of the mean over the samples of all workers."""
        return values.sum() / (batch.total / self._workers.size)
