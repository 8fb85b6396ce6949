"""Simulated errors of a 2D keypoint detector, with the structure of real ones.

A detector is a little off at each joint for as long as it sees a body in one way, wanders slowly about that place, and
adds some trembling. Its errors are shared by the joints, are larger at wrists and ankles than at the trunk, and grow
with the person. Now and then it exchanges left and right, or does not see a joint. All lengths are shares of the
stature as it is seen (docs/method.md, made errors).
"""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from schemas.configs.made_views import DetectorErrorsConfig
from schemas.layouts import JointLayout

# In windows with exchanged sides: the shares in which the whole body, the arms or the legs are exchanged, and the
# longest run of such frames, as a share of the window.
_SWAP_KINDS, _LONGEST_SWAP = (0.5, 0.25, 0.25), 0.8


class DetectorErrors:
    """Draws errors for windows of keypoints.

    Args:
        config: How large and how frequent they are.
        layout: Joints of the keypoints.
        frames: Frames of a window.
        fps: Frames per second.
        device: Where errors are drawn.
    """

    def __init__(
        self, config: DetectorErrorsConfig, layout: JointLayout, frames: int, fps: float, device: torch.device
    ) -> None:
        self._config = config
        by_joint = [config.of(joint) for joint in layout.joints]
        sizes = [(joint.offset, joint.slow, joint.white, joint.outliers, joint.outlier_size) for joint in by_joint]
        by_size = torch.tensor(sizes, device=device).T[:, :, None]
        self._offset, self._slow, self._white, self._outliers, self._outlier_size = by_size
        # Errors with the correlation exp(-|t| / time constant) are independent numbers multiplied by this matrix.
        times_s = torch.arange(frames, dtype=torch.float64) / fps
        correlation = torch.exp(-(times_s[:, None] - times_s).abs() / config.slow_s)
        self._correlated = torch.linalg.cholesky(correlation).float().to(device)
        self._mirror = torch.tensor(layout.mirror, device=device)
        arms = [any(part in joint for part in ("shoulder", "elbow", "wrist")) for joint in layout.joints]
        legs = [any(part in joint for part in ("hip", "knee", "ankle")) for joint in layout.joints]
        self._swap_bounds = torch.tensor(_SWAP_KINDS, device=device).cumsum(0)[:2]
        self._swap_joints = torch.tensor([[True] * len(layout), arms, legs], device=device)
        self._limbs = torch.tensor(_limbs(layout), device=device)

    def add(
        self,
        keypoints: Float32[Tensor, "windows frames joints 2"],
        stature: Float32[Tensor, " windows"],
        generator: torch.Generator,
    ) -> Float32[Tensor, "windows frames joints 2"]:
        """Keypoints as a detector would find them.

        Args:
            keypoints: The true ones.
            stature: Stature of the person as it is seen, in the unit of the keypoints.
            generator: Of the errors.
        """
        windows, frames, joints, _ = keypoints.shape

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=keypoints.device)

        chance = torch.rand((windows, 1, joints, 1), generator=generator, device=keypoints.device)
        size = torch.where(chance < self._outliers, self._outlier_size, self._offset)
        offset = normal(windows, 1, joints, 2) * size
        # The last index, `joints`, is the part that the whole body shares.
        slow = self._correlated @ normal(frames, windows * (joints + 1) * 2)
        slow = slow.view(frames, windows, joints + 1, 2).transpose(0, 1)
        shared = self._config.shared
        slow = (1 - shared) ** 0.5 * slow[:, :, :-1] + shared**0.5 * slow[:, :, -1:]
        level = torch.exp(self._config.level_sd * normal(windows, 2, 1, 1, 1))
        error = offset + level[:, 0] * self._slow * slow
        error += level[:, 1] * self._white * normal(windows, frames, joints, 2)
        return self._swap(keypoints + error * stature[:, None, None, None], generator)

    def visible(
        self, inside: Bool[Tensor, "windows frames joints"], generator: torch.Generator
    ) -> Bool[Tensor, "windows frames joints"]:
        """Which keypoints are found at all.

        In a share of the windows one of three things is missing: what lies outside the picture, a limb for some frames,
        or the whole person for some frames.

        Args:
            inside: Which joints lie in the picture.
            generator: Of the choices.
        """
        windows, frames, _ = inside.shape
        draw = torch.rand((windows, 3), generator=generator, device=inside.device)
        kind = (draw[:, 0] / max(self._config.missing, 1e-9) * 3).long()
        run = _runs(windows, frames, 0.5, generator, inside.device)[..., None]
        limb = self._limbs[(draw[:, 1] * len(self._limbs)).long()][:, None]
        kinds = torch.stack([~inside, run & limb, (run & ~limb) | (run & limb)], dim=1)
        lost = kinds[torch.arange(windows, device=inside.device), kind.clamp_max(2)]
        return ~(lost & (kind < 3)[:, None, None])

    def _swap(
        self, keypoints: Float32[Tensor, "windows frames joints 2"], generator: torch.Generator
    ) -> Float32[Tensor, "windows frames joints 2"]:
        windows, frames = keypoints.shape[:2]
        draw = torch.rand((windows, 2), generator=generator, device=keypoints.device)
        kind = torch.bucketize(draw[:, 0].contiguous(), self._swap_bounds)
        run = _runs(windows, frames, _LONGEST_SWAP, generator, keypoints.device)
        chosen = run & (draw[:, 1] < self._config.swapped)[:, None]
        where = chosen[..., None] & self._swap_joints[kind][:, None]
        return torch.where(where[..., None], keypoints[:, :, self._mirror], keypoints)


def _runs(
    windows: int, frames: int, longest: float, generator: torch.Generator, device: torch.device
) -> Bool[Tensor, "windows frames"]:
    """One run of frames in each window, of 1 to `longest` of its frames, any of which may lie beyond its ends."""
    draw = torch.rand((windows, 2), generator=generator, device=device)
    length = 1 + (draw[:, 0].square() * longest * frames).floor()
    start = (draw[:, 1] * (frames + length - 1)).floor() + 1 - length
    frame = torch.arange(frames, device=device)
    return (frame >= start[:, None]) & (frame < (start + length)[:, None])


def _limbs(layout: JointLayout) -> list[list[bool]]:
    """The joints of each arm and leg without shoulders and hips, as a mask over the layout."""
    limbs = [(side, parts) for side in ("left", "right") for parts in (("elbow", "wrist"), ("knee", "ankle"))]
    return [
        [joint.startswith(side) and any(part in joint for part in parts) for joint in layout.joints]
        for side, parts in limbs
    ]
