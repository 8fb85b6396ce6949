"""Motion capture without video: cameras are placed around each motion, and detections of its joints are simulated.

The npz holds `positions_3d` = {subject: {action: (frames, 17, 3)}}, world, joints as in layout h36m17, in any unit and
with any axis up (`world.py`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from pydantic import Field, field_validator

from pipelines.datasets.detector_noise import detect_like
from pipelines.datasets.pose_source import Shot, stem
from pipelines.datasets.studio_cameras import surround
from pipelines.datasets.world import World, WorldConfig, read_positions
from pipelines.io.npz import mapping, read_npz
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError
from schemas.job_config import Address
from schemas.layouts import LAYOUTS, joint_indices, layout
from schemas.ranges import StudioRange

_Layout = Literal["h36m17", "limbs12"]


class Mocap17:
    """Recorded motion with simulated cameras and detections; the noise model is that of `detector_noise.py`.

    The motion has no face, so that it cannot be had in the layouts of detectors; what they share is limbs12.
    """

    KEYPOINTS_ARE_SEEN = False  # They are simulated, with errors of the requested size.

    class Config(WorldConfig):
        """Options of the source."""

        positions: Address = Field(min_length=1)
        """npz with positions_3d = {subject: {action: (frames, 17, 3)}}, h36m17, world."""

        fps: float = Field(default=60.0, gt=0, le=100_000)
        """Frames per second of the motion; the file does not say."""

        subjects: tuple[str, ...] = ()
        """Whom to import; empty: everyone."""

        actions: tuple[str, ...] = ()
        """What to import, by whole name or first word; empty: everything."""

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

    def __init__(self, config: Config) -> None:
        self._config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """The file."""
        return {"positions": [self._config.positions]}

    def tracks(self) -> Iterator[KeypointTrack]:
        """A track for every motion and camera, labeled and calibrated.

        Raises:
            UserError: The file cannot be read or has another format, or it lacks a requested subject or action.
        """
        config = self._config
        uri = config.positions
        subjects = mapping(uri, read_npz(uri, "positions_3d")["positions_3d"], "positions_3d")
        motions = {
            (subject, action): motion
            for subject, actions in subjects.items()
            for action, motion in mapping(uri, actions, f"positions_3d of {subject}").items()
        }
        _check("source.subjects", config.subjects, {subject for subject, _ in motions})
        _check("source.actions", config.actions, {name for _, action in motions for name in _called(action)})

        def read(subject: str, action: str) -> np.ndarray:
            return read_positions(uri, motions[subject, action], f"positions_3d of {subject} {action}", 17)

        world = World(config.unit, config.up, (read(*names) for names in motions), layout("h36m17"))
        self.notes += world.notes
        for subject, action in motions:
            requested = not config.subjects or subject in config.subjects
            if requested and (not config.actions or _called(action) & set(config.actions)):
                yield from self._views(subject, action, world.convert(read(subject, action)))

    def _views(self, subject: str, action: str, motion: np.ndarray) -> Iterator[KeypointTrack]:
        config, h36m, target = self._config, layout("h36m17"), layout(self._config.layout)
        # The seed depends on the name, so that a motion gets the same cameras whatever else is imported.
        name = hashlib.sha256(f"{subject}/{action}".encode()).digest()
        seed = [config.seed, *np.frombuffer(name, np.uint32).tolist()]
        size, joints = (config.width, config.height), list(joint_indices(h36m, target))
        complete = motion[np.isfinite(motion).all((1, 2))]
        if not len(complete):
            self.notes.append(f"{subject} {action}: no frame has all joints")
            return
        views = surround(np.random.default_rng(seed), complete, config.views, config.distance_m, config.height_m, size)
        for number, view in enumerate(views):
            rng = np.random.default_rng([*seed, number])
            image, scores = detect_like(rng, view.project(motion), config.noise_px, config.width)
            image, scores = image[:, joints], scores[:, joints]
            origin = f"mocap17:{stem(config.positions)}:seed{config.seed}"
            shot = Shot(origin, subject, action, view.name, *size, config.fps, view.intrinsics)
            yield shot.track(target, image, scores, view.to_camera(motion), h36m, up=view.up)


def _called(action: str) -> set[str]:
    return {action, action.split(" ")[0]}


def _check(field: str, requested: Sequence[str], known: set[str]) -> None:
    missing = [name for name in requested if name not in known]
    if missing:
        raise UserError(f"{field}: there is no {missing[0]!r} in the file; it has {', '.join(sorted(known))}")
