"""Labeled samples from motion alone: other bodies, cameras and detector errors in every step.

Everything is drawn on the device of training, from seed, epoch and step, so that a training which continues sees the
same samples as one that was never interrupted. Several workers draw the same whole batch, and each takes its part.
"""

import math

import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.nn import functional

from pipelines.pose import rays
from pipelines.pose.cameras import MIN_DEPTH_M
from pipelines.pose.joint_map import joint_map
from pipelines.sampling.detector_errors import DetectorErrors
from pipelines.sampling.diversity import frame_weights
from pipelines.sampling.order import seed_of
from pipelines.sampling.sequences import Sequences
from pipelines.sampling.windows import Batch, WindowShape
from schemas.configs.made_views import MadeViewsConfig
from schemas.configs.train import LifterInput
from schemas.layouts import JointLayout

# The stature, m, that people of motion capture are assumed to have before it is varied.
_STATURE_M = 1.7
# Low cameras are drawn more often: a uniform number is raised to this exponent.
_LOW_CAMERAS = 1.5
# The middle of a person lies within this share of the picture around its centre.
_PLACE = 0.6
# Width over height of portrait and landscape pictures.
_ASPECTS = (9 / 16, 16 / 9)
# The key of these samples' random numbers, which makes them differ from those of other purposes.
_KEY = 7


class MadeViews:
    """Made views of labeled motion; implements `pipelines.sampling.labeled_samples.LabeledSamples`.

    Args:
        sequences: Labeled motion at the recorded frame rate.
        config: What is drawn.
        shape: Windows of the samples.
        layout: Joints of the keypoints; the positions have them all.
        lifter_input: How the lifter is given keypoints.
        features: Numbers per keypoint that the lifter reads: 2 or 3.
        stride: Recorded frames per frame of the lifter.
        fps: Frame rate of the lifter.
        batch_size: Samples of a batch, of all workers.
        seed: Random seed.
    """

    def __init__(
        self,
        sequences: Sequences,
        config: MadeViewsConfig,
        shape: WindowShape,
        layout: JointLayout,
        lifter_input: LifterInput,
        *,
        features: int,
        stride: int,
        fps: float,
        batch_size: int,
        seed: int,
    ) -> None:
        assert sequences.positions is not None
        assert sequences.positions_layout is not None
        self._sequences, self._config, self._shape, self._input = sequences, config, shape, lifter_input
        self._features, self._stride, self._batch_size, self._seed = features, stride, batch_size, seed
        device = sequences.positions.device
        self._positions = sequences.positions.flatten(1)
        body = sequences.positions_layout
        self._root = body.parents.index(-1)
        self._joint_map = torch.tensor(
            joint_map(body, layout.joints, config.errors), dtype=torch.float32, device=device
        )
        self._errors = DetectorErrors(config.errors, layout, shape.frames, fps, device)
        weights = frame_weights(sequences, config.diversity, config.subject_weights, seed)
        self._cumulative = weights.cumsum(0)
        self._mirror = torch.tensor(body.mirror, device=device)
        # A bone has one random length for both sides.
        self._bone = torch.tensor([min(j, other) for j, other in enumerate(body.mirror)], device=device)
        self._to_bones, self._from_bones = (matrix.to(device) for matrix in _bone_matrices(body))

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self._config.samples_per_epoch // self._batch_size)

    def track_ids(self, batch: Batch) -> set[str]:
        """The tracks that a batch was made from."""
        return {self._sequences.infos[number].track_id for number in batch.sequences.tolist()}

    def batch(self, epoch: int, step: int, rank: int = 0, world: int = 1) -> Batch:
        """A worker's part of a batch."""
        device = self._positions.device
        generator = torch.Generator(device).manual_seed(seed_of(self._seed, epoch, step, _KEY))
        draw = _Draw(generator, device, self._batch_size)
        sequence, rows = self._frames(draw)
        recorded = self._positions[rows[0]].lerp(self._positions[rows[1]], rows[2][..., None])
        joints = recorded.view(*rows[0].shape, -1, 3)
        mirrored = draw.uniform() < 0.5
        stature = torch.exp(self._config.stature_sd * draw.normal())
        signs = torch.ones(len(mirrored), 3, device=device)
        signs[:, 0] = torch.where(mirrored, -1.0, 1.0)
        bodies = self._reshaped(joints, mirrored, stature, draw) * signs[:, None, None]
        up = self._sequences.up[sequence] * signs
        seen_by_camera, picture, distance = self._filmed(bodies, up, stature, draw)
        joints2d = functional.linear(seen_by_camera.mT, self._joint_map).mT
        slopes = joints2d[..., :2] / joints2d[..., 2:].clamp_min(MIN_DEPTH_M)
        keypoints = self._errors.add(slopes, _STATURE_M * stature / distance, generator)
        inside = (keypoints.abs() < picture[:, None, None]).all(-1)
        scores = self._errors.visible(inside, generator).float()
        focal = torch.ones_like(distance)
        if self._input == "screen":
            focal = 1 / picture[:, 0]
            keypoints = keypoints * focal[:, None, None, None]
        inputs = torch.cat([keypoints * scores[..., None], scores[..., None]], dim=-1)
        before = self._shape.before
        target = slice(before, before + self._shape.chunk)
        camera = torch.zeros(len(focal), 10, device=device)
        camera[:, :2] = focal[:, None]
        batch = Batch(
            inputs=inputs[..., : self._features],
            keypoints=keypoints[:, target],
            scores=scores[:, target],
            positions=seen_by_camera[:, target],
            cameras=camera,
            sequences=sequence,
            starts=rows[0][:, before] - self._sequences.offsets[sequence],
            mirrored=mirrored,
            fisheyes=False,
            total=self._batch_size,
        )
        return batch.part(slice(rank, None, world)) if world > 1 else batch

    def _frames(self, draw: "_Draw") -> tuple[Int64[Tensor, " batch"], tuple[Tensor, Tensor, Tensor]]:
        """The sequence of each sample, and for each frame of its window the two recorded frames it lies between."""
        total = self._cumulative[-1]
        middle = torch.searchsorted(self._cumulative, draw.uniform().double() * total).clamp_max(
            len(self._positions) - 1
        )
        offsets = self._sequences.offsets
        sequence = torch.searchsorted(offsets, middle, right=True) - 1
        low, high = self._config.speed
        speed = torch.exp(draw.uniform() * math.log(high / low)) * low * self._stride
        window = torch.arange(self._shape.frames, device=middle.device) - self._shape.middle
        first, last = offsets[sequence, None], offsets[sequence + 1, None] - 1
        if self._shape.window.takes_clips:
            # Clips lie within their sequence if it is long enough, because repeated frames would teach that people
            # stand still.
            ends = (speed[:, None] * window[[0, -1]]).ceil().long()
            middle = torch.minimum(torch.maximum(middle, first[:, 0] - ends[:, 0]), last[:, 0] - ends[:, 1])
            middle = torch.minimum(torch.maximum(middle, first[:, 0]), last[:, 0])
        # Positions are relative to the predicted frame, because float32 has too few digits for the frame numbers of a
        # large set.
        away = speed[:, None] * window
        left = away.floor()
        rows = middle[:, None] + left.long()
        return sequence, (rows.clamp(first, last), (rows + 1).clamp(first, last), away - left)

    def _reshaped(
        self,
        joints: Float32[Tensor, "batch window joints 3"],
        mirrored: Tensor,
        stature: Float32[Tensor, " batch"],
        draw: "_Draw",
    ) -> Float32[Tensor, "batch window joints 3"]:
        """Other bodies in the same poses: mirrored or not, with other bones."""
        lengths = torch.exp(self._config.bone_sd * draw.normal(len(self._bone)))[:, self._bone]
        lengths[:, self._root] = 1
        matrices = (self._from_bones * (lengths * stature[:, None])[:, None]) @ self._to_bones
        matrices = torch.where(mirrored[:, None, None], matrices[:, :, self._mirror], matrices)
        # One product for all frames of a sample is several times faster than one for each frame.
        flat = matrices @ joints.transpose(1, 2).flatten(2)
        return flat.unflatten(2, joints.shape[1::2]).transpose(1, 2)

    def _filmed(
        self,
        joints: Float32[Tensor, "batch window joints 3"],
        up: Float32[Tensor, "batch 3"],
        stature: Float32[Tensor, " batch"],
        draw: "_Draw",
    ) -> tuple[Float32[Tensor, "batch window joints 3"], Float32[Tensor, "batch 2"], Float32[Tensor, " batch"]]:
        """Joints in the space of a drawn camera, half the size of its picture (slopes), and its distance (m)."""
        config = self._config
        azimuth = draw.uniform() * 2 * math.pi
        low, high = (math.radians(angle) for angle in config.elevation_deg)
        elevation = low + (high - low) * draw.uniform() ** _LOW_CAMERAS
        roll = math.radians(config.roll_sd_deg) * draw.normal()
        near, far = config.distance_m
        distance = near * torch.exp(draw.uniform() * math.log(far / near))
        to_person = -_direction(up, azimuth, elevation)
        right = functional.normalize(torch.linalg.cross(to_person, up), dim=-1)
        down = torch.linalg.cross(to_person, right)
        cos, sin = roll.cos()[:, None], roll.sin()[:, None]
        axes = torch.stack([cos * right + sin * down, cos * down - sin * right, to_person], dim=1)
        # The picture is at least so wide that the person fits into it at their distance.
        field = torch.deg2rad(config.fov_deg[0] + (config.fov_deg[1] - config.fov_deg[0]) * draw.uniform())
        longer = torch.maximum((field / 2).tan(), 0.5 * _STATURE_M * stature / distance)
        aspect = torch.where(draw.uniform() < 0.5, *_ASPECTS)
        picture = torch.stack([longer * aspect.clamp_max(1), longer / aspect.clamp_min(1)], dim=-1)
        place = (draw.uniform(2) * 2 - 1) * _PLACE * picture
        middle = joints[:, self._shape.middle, self._root]
        turned = rays.turned_to(place)
        centred = (joints - middle[:, None, None]).flatten(1, 2) @ (axes.mT @ turned)
        away = distance[:, None] * turned[:, 2]
        return (centred + away[:, None]).view_as(joints), picture, distance


class _Draw:
    """Random numbers for the samples of a batch."""

    def __init__(self, generator: torch.Generator, device: torch.device, batch: int) -> None:
        self._generator, self._device, self._batch = generator, device, batch

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand((self._batch, *shape), generator=self._generator, device=self._device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn((self._batch, *shape), generator=self._generator, device=self._device)


def _direction(
    up: Float32[Tensor, "batch 3"], azimuth: Float32[Tensor, " batch"], elevation: Float32[Tensor, " batch"]
) -> Float32[Tensor, "batch 3"]:
    """Unit vectors at an elevation over the ground, all around."""
    # The axis that is farthest from up is never parallel to it.
    other = functional.one_hot(up.abs().argmin(1), 3).to(up.dtype)
    north = functional.normalize(torch.linalg.cross(up, other), dim=-1)
    east = torch.linalg.cross(up, north)
    level = azimuth.cos()[:, None] * north + azimuth.sin()[:, None] * east
    return elevation.cos()[:, None] * level + elevation.sin()[:, None] * up


def _bone_matrices(layout: JointLayout) -> tuple[Float32[Tensor, "joints joints"], Float32[Tensor, "joints joints"]]:
    """Matrices from joints to bones (the root stays itself), and from bones back to joints."""
    to_bones = torch.eye(len(layout))
    for child, parent in layout.bones:
        to_bones[child, parent] = -1
    return to_bones, torch.linalg.inv(to_bones)
