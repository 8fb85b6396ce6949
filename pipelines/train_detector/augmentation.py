"""Crops of canvases: as the detector cuts them, or augmented anew in each epoch (Sun et al. 2019)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from pipelines.detectors.topdown.crops import crop_matrices, move
from pipelines.train_detector.canvas_shape import CanvasShape
from schemas.configs.train_detector import AugmentationConfig
from schemas.layouts import JointLayout, layout

# As in the published training, only people with more labeled joints than this are cropped to half a body, and its box
# is padded by more than that of a whole body.
_FEWEST_JOINTS = 8
_HALF_PADDING = 1.5
# The upper or the lower half is chosen only if it has more joints than this.
_FEWEST_OF_HALF = 2
# The published code takes the upper body if a standard normal number is below 0.5, which has this probability.
_UPPER = 0.6915
_LOWER_BODY = ("pelvis", "hip", "knee", "ankle", "heel", "foot")


@dataclass(frozen=True)
class View:
    """How the canvases of a batch are cropped, and where the joints are in the crops.

    Attributes:
        matrices: Affine maps from canvas pixels to crop pixels, mirroring included.
        points: Joints, crop pixels; a mirrored person's left joints are listed as right ones and vice versa.
        labeled: Whether each joint is annotated.
    """

    matrices: Float32[Tensor, "people 2 3"]
    points: Float32[Tensor, "people joints 2"]
    labeled: Bool[Tensor, "people joints"]

    def share(self, rank: int, size: int) -> "View":
        """A worker's share of the batch."""
        return View(*(values[rank::size] for values in (self.matrices, self.points, self.labeled)))


def plain_view(
    keypoints: Float32[Tensor, "people joints 2"],
    labeled: Bool[Tensor, "people joints"],
    shape: CanvasShape,
    udp: bool = False,
) -> View:
    """The crop that the detector itself would cut."""
    count = len(keypoints)
    centres = torch.full((count, 2), shape.side / 2)
    matrices = crop_matrices(centres, torch.tensor(shape.input_wh).float().expand(count, 2), None, shape.input_wh, udp)
    return View(matrices, move(keypoints, matrices), labeled)


def random_view(
    keypoints: Float32[Tensor, "people joints 2"],
    labeled: Bool[Tensor, "people joints"],
    shape: CanvasShape,
    config: AugmentationConfig,
    rng: np.random.Generator,
    udp: bool = False,
) -> View:
    """Random augmentation, in this order: half a body, scale, rotation, mirroring."""
    joints, count = layout(shape.layout), len(keypoints)
    # All random numbers are always drawn, so that one option does not change the effect of the others.
    coins, normal = rng.random((count, 4)), rng.standard_normal((count, 2))
    centres = np.full((count, 2), shape.side / 2)
    sizes = np.tile(np.array(shape.input_wh, float), (count, 1))
    halved = coins[:, 0] < config.half_body
    half_centres, half_sizes, possible = _half_bodies(keypoints.numpy(), labeled.numpy(), joints, shape, coins[:, 1])
    halved = (halved & possible)[:, None]
    centres, sizes = np.where(halved, half_centres, centres), np.where(halved, half_sizes, sizes)
    sizes = sizes * np.clip(1 + config.scale * normal[:, :1], 1 - config.scale, 1 + config.scale)
    rotations_deg = np.clip(config.rotation_deg * normal[:, 1], -2 * config.rotation_deg, 2 * config.rotation_deg)
    rotations_deg = np.where(coins[:, 2] < config.rotated, rotations_deg, 0)
    mirrored = coins[:, 3] < config.mirrored
    centres[mirrored, 0] = shape.side - 1 - centres[mirrored, 0]
    where, how_large, how_rotated = (torch.from_numpy(values) for values in (centres, sizes, rotations_deg))
    matrices = crop_matrices(where, how_large, how_rotated, shape.input_wh, udp).float()
    return _mirror(matrices, keypoints, labeled, torch.from_numpy(mirrored), shape, joints)


def _mirror(
    matrices: Float32[Tensor, "people 2 3"],
    keypoints: Float32[Tensor, "people joints 2"],
    labeled: Bool[Tensor, "people joints"],
    mirrored: Bool[Tensor, " people"],
    shape: CanvasShape,
    joints: JointLayout,
) -> View:
    """The view where some canvases are mirrored before their matrix is applied."""
    flipped = matrices.clone()
    flipped[:, :, 2] += (shape.side - 1) * matrices[:, :, 0]
    flipped[:, :, 0] *= -1
    matrices = torch.where(mirrored[:, None, None], flipped, matrices)
    points, swapped = move(keypoints, matrices), list(joints.mirror)
    points = torch.where(mirrored[:, None, None], points[:, swapped], points)
    return View(matrices, points, torch.where(mirrored[:, None], labeled[:, swapped], labeled))


def _half_bodies(
    keypoints: Float32[np.ndarray, "people joints 2"],
    labeled: Bool[np.ndarray, "people joints"],
    joints: JointLayout,
    shape: CanvasShape,
    coins: Float64[np.ndarray, " people"],
) -> tuple[Float64[np.ndarray, "people 2"], Float64[np.ndarray, "people 2"], Bool[np.ndarray, " people"]]:
    """Centre and size of the upper or lower body, and who has enough joints for that."""
    lower = np.array([joint.split("_", 1)[-1].startswith(_LOWER_BODY) for joint in joints.joints])
    above, below = labeled & ~lower, labeled & lower
    enough = above.sum(1) > _FEWEST_OF_HALF
    take_above = np.where(below.sum(1) > _FEWEST_OF_HALF, enough & (coins < _UPPER), True)
    chosen = np.where(take_above[:, None], above, below)
    count = chosen.sum(1)
    possible = (labeled.sum(1) > _FEWEST_JOINTS) & (count >= _FEWEST_OF_HALF)
    included = chosen[..., None]
    centres = np.where(included, keypoints, 0).sum(1) / np.maximum(count, 1)[:, None]
    least, most = (np.where(included, keypoints, edge) for edge in (np.inf, -np.inf))
    extents = np.where(possible[:, None], most.max(1) - least.min(1), 1).clip(1)
    aspect = shape.input_wh[0] / shape.input_wh[1]
    width = np.maximum(extents[:, 0], extents[:, 1] * aspect)
    return centres, _HALF_PADDING * np.stack([width, width / aspect], 1), possible
