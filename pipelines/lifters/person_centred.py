"""Person-centred input and output around a lifter: where in the picture a person is, and how large, stays outside.

Keypoints come as viewing rays (`pose.rays`). For each predicted frame, or for each clip, the rays of its window are
turned so that the middle of the hips in that frame, or in the clip's middle one, lies on the optical axis, shifted so
that it is the origin, and divided by their size over the window. The lifter predicts joints in the turned camera, and
the result is turned back. So a person at the edge of a wide picture, or far away, looks to the lifter like anybody
else; the size is given as one more number, because perspective is stronger in people who are near. Joints with score 0
are missing: they take no part in the middle and the size, and reach the lifter as zeros, marked as unknown.
"""

from typing import ClassVar, NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pipelines.lifters.base import Lifter, WithStatistics, build_lifter, needs_statistics
from pipelines.pose.rays import turned_to
from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig
from schemas.layouts import JointLayout

# The size of a person is at least this (slopes), so that a single visible joint causes no division by 0.
_LEAST_SIZE = 1e-3
# The logarithm of the size of a person of medium build 4 m away, and the scale that maps the usual range to ±1.
_USUAL_LOG_SIZE, _LOG_SIZE_SCALE = -2.1, 0.6
# The RMS distance of a person's limb joints from the middle of the hips, across the line of sight, m.
_USUAL_SIZE_M = 0.47


class CentredWindows(NamedTuple):
    """Windows as the inner lifter reads them, and how they lie in the camera.

    Attributes:
        inputs: x, y in units of the person's size and 1 for each known joint, 0 for unknown ones; the last joint is the
            logarithm of the size.
        turned: Rows are the axes of the turned camera in the real one.
        size: Root mean square distance of the rays of known joints from the middle of the hips, slopes.
    """

    inputs: Float[Tensor, "windows frames joints_and_size 3"]
    turned: Float[Tensor, "windows 3 3"]
    size: Float[Tensor, " windows"]


class PersonCentred(nn.Module):
    """A lifter of viewing rays around a lifter of centred keypoints; used as a `pipelines.lifters.base.Lifter`.

    Args:
        inner: Reads the joints of `centred_layout(input_layout)` with three features.
        input_layout: Joints of the rays.
    """

    # Its options are those of the inner lifter.
    Config: ClassVar[type[JobConfig]] = JobConfig

    def __init__(self, inner: Lifter, input_layout: JointLayout) -> None:
        super().__init__()
        self.inner = inner
        self.input_layout, self.output_layout = input_layout, inner.output_layout
        self.window = inner.window
        self.input_features = 3
        self._hips = [input_layout.index(f"{side}_hip") for side in ("left", "right")]

    def forward(
        self, inputs: Float[Tensor, "batch frames joints_in 3"]
    ) -> Float[Tensor, "batch frames_out joints_out 3"]:
        """Lift slopes and scores to positions (m, camera space); frames_out = frames - window.context.

        A layout of one joint is that of a trajectory: the root itself instead of joints relative to it.
        """
        batch, frames = inputs.shape[:2]
        centred = self._centred(inputs)
        positions = self.inner(centred.inputs)
        if len(self.output_layout) == 1:
            ahead = positions.new_tensor([0.0, 0.0, 1.0])
            positions = (positions + ahead) * (_USUAL_SIZE_M / centred.size)[:, None, None, None]
        return (positions @ centred.turned[:, None].to(positions.dtype)).view(
            batch, frames - self.window.context, -1, 3
        )

    @property
    def needs_statistics(self) -> bool:
        """Whether the lifter within needs statistics of what it reads and predicts."""
        return needs_statistics(self.inner)

    def fit_statistics(
        self,
        inputs: Float[Tensor, "batch frames joints_in 3"],
        positions: Float[Tensor, "batch frames_out joints_out 3"],
    ) -> None:
        """Give the lifter within its statistics of the centred samples."""
        assert isinstance(self.inner, WithStatistics)
        centred = self._centred(inputs)
        turned = positions.view(len(centred.size), -1, *positions.shape[2:]) @ centred.turned[:, None].mT
        if len(self.output_layout) == 1:
            ahead = turned.new_tensor([0.0, 0.0, 1.0])
            turned = turned / (_USUAL_SIZE_M / centred.size)[:, None, None, None] - ahead
        self.inner.fit_statistics(centred.inputs, turned)

    def _centred(self, inputs: Float[Tensor, "batch frames joints_in 3"]) -> CentredWindows:
        """All windows, one for each predicted frame; clips are windows as they are."""
        if self.window.takes_clips:
            return centre(inputs, inputs.shape[1] // 2, self._hips)
        windows = inputs.unfold(1, self.window.inputs, 1).permute(0, 1, 4, 2, 3).flatten(0, 1)
        return centre(windows, self.window.offset, self._hips)


def centre(rays: Float[Tensor, "windows frames joints 3"], predicted: int, hips: list[int]) -> CentredWindows:
    """Windows of slopes and scores, turned and scaled to the person.

    Args:
        rays: Slopes, and scores that are 0 where a joint is missing.
        predicted: The frame whose hips come to lie on the axis; of clips the middle one.
        hips: The joints whose middle that is. Where one is missing: the middle of the known joints of the frame, or of
            the whole window.
    """
    xy, known = rays[..., :2], rays[..., 2] > 0
    turned = turned_to(_middle(xy, known, predicted, hips))
    directions = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1) @ turned[:, None].mT
    flat = directions[..., :2] / directions[..., 2:].clamp_min(_LEAST_SIZE)
    weight = known[..., None].to(flat.dtype)
    flat = flat * weight
    total = weight.sum((1, 2, 3)).clamp_min(1)
    size = (flat.square().sum((1, 2, 3)) / total).sqrt().clamp_min(_LEAST_SIZE)
    joints = torch.cat([flat / size[:, None, None, None], weight], dim=-1)
    log_size = (size.log() - _USUAL_LOG_SIZE) / _LOG_SIZE_SCALE
    person = torch.stack([log_size, torch.zeros_like(size), torch.ones_like(size)], dim=-1)
    person = person[:, None, None].expand(-1, joints.shape[1], 1, -1)
    return CentredWindows(torch.cat([joints, person], dim=2), turned, size)


def centred_layout(layout: JointLayout) -> JointLayout:
    """The joints of a layout, and one more in which the size of the person is given."""
    return JointLayout(f"{layout.name}.centred", (*layout.joints, "size"), (*layout.parents, -1))


def build_person_centred(config: PluginConfig, input_layout: JointLayout, output_layout: JointLayout) -> Lifter:
    """The lifter that a config names, with fresh weights, within person-centred input and output.

    Raises:
        UserError: There is no such lifter, it does not read scores, or the layout has no hips.
    """
    missing = {"left_hip", "right_hip"} - set(input_layout.joints)
    if missing:
        raise UserError(
            f"data.input=person_centred: {input_layout.name} has no {min(missing)}, on which people are centred; "
            "give keypoints with hips, or data.input=screen"
        )
    inner = build_lifter(config, centred_layout(input_layout), output_layout)
    if inner.input_features != 3:
        raise UserError(
            f"data.input=person_centred: lifter {config.name} reads {inner.input_features} numbers per keypoint, "
            "not the 3 that mark missing joints; give lifter.scores=true"
        )
    # The result is used as a lifter, but it is not built from a config like those of the table.
    return cast(Lifter, PersonCentred(inner, input_layout))


def _middle(
    xy: Float[Tensor, "windows frames joints 2"],
    known: Bool[Tensor, "windows frames joints"],
    predicted: int,
    hips: list[int],
) -> Float[Tensor, "windows 2"]:
    """The middle of the hips in the predicted frame, or what is known instead."""

    def mean(points: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
        weight = counted.flatten(1).to(points.dtype)
        total = weight.sum(1, keepdim=True)
        return (points.flatten(1, -2) * weight[..., None]).sum(1) / total.clamp_min(1), total > 0

    # Indexing is not used, because torch.export takes the index for a constant; in clips the predicted frame depends on
    # their length.
    points, known_joints = xy.narrow(1, predicted, 1).squeeze(1), known.narrow(1, predicted, 1).squeeze(1)
    hips_xy, hips_known = points[:, hips].mean(1), known_joints[:, hips].all(1, keepdim=True)
    frame_xy, frame_known = mean(points, known_joints)
    window_xy, _ = mean(xy, known)
    return torch.where(hips_known, hips_xy, torch.where(frame_known, frame_xy, window_xy))
