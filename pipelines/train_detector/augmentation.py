"""What a net sees of each canvas: the plain crop, or another one each epoch (Sun et al. 2019)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

from pipelines.detectors.topdown.crops import crop_matrices, move
from pipelines.train_detector.crop_cache import CanvasShape
from schemas.configs.train_detector import AugmentationConfig
from schemas.layouts import JointLayout, layout

# Of the published training: people with fewer joints known are never halved, and half a body is padded by more.
_FEWEST_JOINTS = 8
_HALF_PADDING = 1.5
# A half needs more joints than these, or the other one is taken.
_FEWEST_OF_HALF = 2
# Its coin is a normal number held against 0.5: the chance of the upper body.
_UPPER = 0.6915
_LOWER_BODY = ("pelvis", "hip", "knee", "ankle", "heel", "foot")


@dataclass(frozen=True)
class View:
    """What is seen of a batch of canvases.

    Attributes:
        matrices: From pixels of the canvas to pixels of the crop; mirrored ones turn left and right.
        points: The joints in pixels of the crop, those of mirrored people under their new names.
        labeled: Which of them are known.
    """

    matrices: Float32[Tensor, "people 2 3"]
    points: Float32[Tensor, "people joints 2"]
    labeled: Bool[Tensor, "people joints"]

    def share(self, rank: int, size: int) -> "View":
        """A worker's part of the batch."""
        return View(*(values[rank::size] for values in (self.matrices, self.points, self.labeled)))


def plain_view(
    keypoints: Float32[Tensor, "people joints 2"], labeled: Bool[Tensor, "people joints"], shape: CanvasShape
) -> View:
    """The crop that the detector itself would cut."""
    count = len(keypoints)
    centres = torch.full((count, 2), shape.side / 2)
    matrices = crop_matrices(centres, torch.tensor(shape.input_wh).float().expand(count, 2), None, shape.input_wh)
    return View(matrices, move(keypoints, matrices), labeled)


def random_view(
    keypoints: Float32[Tensor, "people joints 2"],
    labeled: Bool[Tensor, "people joints"],
    shape: CanvasShape,
    config: AugmentationConfig,
    rng: np.random.Generator,
) -> View:
    """Half a body, another scale, turned, mirrored: each by chance, in this order."""
    joints, count = layout(shape.layout), len(keypoints)
    # All are drawn, whatever is used: options do not change what chance does elsewhere.
    coins, normal = rng.random((count, 4)), rng.standard_normal((count, 2))
    centres = np.full((count, 2), shape.side / 2)
    sizes = np.tile(np.array(shape.input_wh, float), (count, 1))
    halved = coins[:, 0] < config.half_body
    half_centres, half_sizes, can_be = _half_bodies(keypoints.numpy(), labeled.numpy(), joints, shape, coins[:, 1])
    halved = (halved & can_be)[:, None]
    centres, sizes = np.where(halved, half_centres, centres), np.where(halved, half_sizes, sizes)
    sizes = sizes * np.clip(1 + config.scale * normal[:, :1], 1 - config.scale, 1 + config.scale)
    turns_deg = np.clip(config.rotation_deg * normal[:, 1], -2 * config.rotation_deg, 2 * config.rotation_deg)
    turns_deg = np.where(coins[:, 2] < config.rotated, turns_deg, 0)
    mirrored = coins[:, 3] < config.mirrored
    centres[mirrored, 0] = shape.side - 1 - centres[mirrored, 0]
    where, how_large, how_turned = (torch.from_numpy(values) for values in (centres, sizes, turns_deg))
    matrices = crop_matrices(where, how_large, how_turned, shape.input_wh).float()
    return _mirror(matrices, keypoints, labeled, torch.from_numpy(mirrored), shape, joints)


def _mirror(
    matrices: Float32[Tensor, "people 2 3"],
    keypoints: Float32[Tensor, "people joints 2"],
    labeled: Bool[Tensor, "people joints"],
    mirrored: Bool[Tensor, " people"],
    shape: CanvasShape,
    joints: JointLayout,
) -> View:
    """The view of canvases of which some are mirrored before their matrix applies."""
    turned = matrices.clone()
    turned[:, :, 2] += (shape.side - 1) * matrices[:, :, 0]
    turned[:, :, 0] *= -1
    matrices = torch.where(mirrored[:, None, None], turned, matrices)
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
    """Middle and size of the upper or lower body, and who can be halved."""
    lower = np.array([joint.split("_", 1)[-1].startswith(_LOWER_BODY) for joint in joints.joints])
    above, below = labeled & ~lower, labeled & lower
    enough = above.sum(1) > _FEWEST_OF_HALF
    take_above = np.where(below.sum(1) > _FEWEST_OF_HALF, enough & (coins < _UPPER), True)
    chosen = np.where(take_above[:, None], above, below)
    count = chosen.sum(1)
    can_be = (labeled.sum(1) > _FEWEST_JOINTS) & (count >= _FEWEST_OF_HALF)
    where = chosen[..., None]
    centres = np.where(where, keypoints, 0).sum(1) / np.maximum(count, 1)[:, None]
    least, most = (np.where(where, keypoints, edge) for edge in (np.inf, -np.inf))
    extents = np.where(can_be[:, None], most.max(1) - least.min(1), 1).clip(1)
    aspect = shape.input_wh[0] / shape.input_wh[1]
    width = np.maximum(extents[:, 0], extents[:, 1] * aspect)
    return centres, _HALF_PADDING * np.stack([width, width / aspect], 1), can_be
