"""Cameras around motion without video, and simulated detections of its joints, for sources of motion alone."""

import hashlib
from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from pydantic import Field, field_validator

from pipelines.datasets.detector_noise import detect_like
from pipelines.datasets.pose_source import PoseSourceConfig, Shot
from pipelines.datasets.studio_cameras import surround
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.layouts import LAYOUTS, joint_indices, layout
from schemas.ranges import StudioRange

_Layout = Literal["h36m17", "limbs12"]


class MadeCamerasConfig(PoseSourceConfig):
    """Options of a source of motion; the motion has no face, so it has only the layouts without one."""

    layout: _Layout = "h36m17"
    """Joint layout of the 2D: h36m17, or limbs12, which every detector of people has."""

    views: int = Field(default=4, ge=1, le=32)
    """Cameras around each motion."""

    distance_m: StudioRange = (4.5, 6.0)
    """Least and greatest distance of a camera, m; further off where somebody would not stay in view."""

    height_m: StudioRange = (1.3, 1.8)
    """Least and greatest height of a camera, m."""

    width: int = Field(default=1000, ge=64)
    """Image width, px."""

    height: int = Field(default=1000, ge=64)
    """Image height, px."""

    noise_px: float = Field(default=5.0, ge=0)
    """Standard deviation of the 2D error along each axis, px at a width of 1000; heavy-tailed."""

    seed: int = Field(default=0, ge=0)
    """Another seed gives other cameras and other errors; the same one the same again."""

    @field_validator("layout", mode="before")
    @classmethod
    def _of_joints_that_it_has(cls, given: Any) -> Any:
        if given in LAYOUTS and given not in get_args(_Layout):
            raise ValueError(
                f"the motion has not all joints of {given}, such as a face; give limbs12, which detectors have too"
            )
        return given


def film(
    config: MadeCamerasConfig,
    origin: str,
    subject: str,
    action: str,
    motion: Float[np.ndarray, "frames 17 3"],
    fps: float,
) -> Iterator[KeypointTrack]:
    """A track for each camera around a motion, labeled and calibrated.

    Args:
        config: Where the cameras stand and how large the errors are; the model of these is `detector_noise.py`.
        origin: The source and its file.
        subject: Who moves.
        action: What they do.
        motion: Joints of layout h36m17, world, z up, metres; NaN where unknown, but complete in some frames.
        fps: Frames per second.
    """
    h36m, target = layout("h36m17"), layout(config.layout)
    # The seed depends on the name, so that a motion gets the same cameras whatever else is imported.
    name = hashlib.sha256(f"{subject}/{action}".encode()).digest()
    seed = [config.seed, *np.frombuffer(name, np.uint32).tolist()]
    size, joints = (config.width, config.height), list(joint_indices(h36m, target))
    complete = motion[np.isfinite(motion).all((1, 2))]
    views = surround(np.random.default_rng(seed), complete, config.views, config.distance_m, config.height_m, size)
    for number, view in enumerate(views):
        rng = np.random.default_rng([*seed, number])
        image, scores = detect_like(rng, view.project(motion), config.noise_px, config.width)
        shot = Shot(origin, subject, action, view.name, *size, fps, view.intrinsics)
        yield shot.track(target, image[:, joints], scores[:, joints], view.to_camera(motion), h36m, up=view.up)
