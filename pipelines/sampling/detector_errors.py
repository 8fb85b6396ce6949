"""Made errors of a 2D keypoint detector, with the structure that real ones have.

A detector is a little off at each joint for as long as it sees a body in one way, wanders slowly about that place, and
adds some trembling. Its errors are shared by the joints, are larger at wrists and ankles than at the trunk, and grow
with the person. Now and then it exchanges left and right, or does not see a joint. All lengths are shares of the
stature as it is seen. The amounts follow measurements of BlazePose on people with known joints (docs/method.md).
"""

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

from schemas.configs.train import WorldConfig
from schemas.layouts import JointLayout

# Standard deviations of the constant and the slow error of joints, relative to the mean over the 12 limb joints.
_OFFSETS = {"shoulder": 1.1, "elbow": 1.1, "wrist": 0.85, "hip": 1.3, "knee": 1.1, "ankle": 0.65}
_SLOW = {"shoulder": 0.85, "elbow": 1.05, "wrist": 1.35, "hip": 0.85, "knee": 1.05, "ankle": 0.7}
_OTHERS = 0.6
# Time constant of the slow error, and the share of its variance that the whole body has in common.
_SLOW_S, _SHARED = 0.45, 1 / 3
# Standard deviation of the logarithm of how bad a detector is in one window.
_LEVEL_SD = 0.4
# How many times the constant error an outlier has.
_OUTLIER = 6.0
# Of the windows with exchanged sides: the shares in which the whole body, the arms or the legs are exchanged, and the
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

    def __init__(self, config: WorldConfig, layout: JointLayout, frames: int, fps: float, device: torch.device) -> None:
        self._config = config
        self._offset = _by_joint(layout, _OFFSETS).to(device) * config.offset
        self._slow = _by_joint(layout, _SLOW).to(device) * config.slow
        # Errors with the correlation exp(-|t| / time constant) are independent ones times this matrix.
        times_s = torch.arange(frames, dtype=torch.float64) / fps
        correlation = torch.exp(-(times_s[:, None] - times_s).abs() / _SLOW_S)
        self._correlated = torch.linalg.cholesky(correlation).float().to(device)
        self._mirror = torch.tensor(layout.mirror, device=device)
        arms = [any(part in joint for part in ("shoulder", "elbow", "wrist")) for joint in layout.joints]
        legs = [any(part in joint for part in ("hip", "knee", "ankle")) for joint in layout.joints]
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

        offset = normal(windows, 1, joints, 2) * self._offset[:, None]
        outlier = torch.rand((windows, 1, joints, 1), generator=generator, device=keypoints.device)
        offset = offset * torch.where(outlier < self._config.outliers, _OUTLIER, 1.0)
        # Joint `joints` is the part that the whole body shares.
        slow = (self._correlated @ normal(windows, frames, (joints + 1) * 2)).unflatten(2, (joints + 1, 2))
        slow = (1 - _SHARED) ** 0.5 * slow[:, :, :-1] + _SHARED**0.5 * slow[:, :, -1:]
        level = torch.exp(_LEVEL_SD * normal(windows, 2, 1, 1, 1))
        error = offset + level[:, 0] * self._slow[:, None] * slow
        error += level[:, 1] * self._config.white * normal(windows, frames, joints, 2)
        return self._swap(keypoints + error * stature[:, None, None, None], generator)

    def seen(
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
        kind = torch.bucketize(draw[:, 0].contiguous(), draw.new_tensor(_SWAP_KINDS).cumsum(0)[:2])
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


def _by_joint(layout: JointLayout, known: dict[str, float]) -> Float32[Tensor, " joints"]:
    """The values of joints by the body part in their names."""
    return torch.tensor([next((v for part, v in known.items() if part in joint), _OTHERS) for joint in layout.joints])


def _limbs(layout: JointLayout) -> list[list[bool]]:
    """The joints of each arm and leg without shoulders and hips, as a mask over the layout."""
    limbs = [(side, parts) for side in ("left", "right") for parts in (("elbow", "wrist"), ("knee", "ankle"))]
    return [
        [joint.startswith(side) and any(part in joint for part in parts) for joint in layout.joints]
        for side, parts in limbs
    ]
