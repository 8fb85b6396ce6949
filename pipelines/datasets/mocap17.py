"""Motion capture without video: cameras are placed around each motion, and detections of its joints are simulated.

The npz holds `positions_3d` = {subject: {action: (frames, 17, 3)}}, world, joints as in layout h36m17, in any unit and
with any axis up (`world.py`).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from pydantic import Field

from pipelines.datasets.made_cameras import MadeCamerasConfig, film
from pipelines.datasets.pose_source import stem
from pipelines.datasets.world import World, WorldConfig, read_positions
from pipelines.io.npz import mapping, read_npz
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError
from schemas.job_config import Address
from schemas.layouts import layout


class Mocap17:
    """Recorded motion with simulated cameras and detections; the noise model is that of `detector_noise.py`.

    The motion has no face, so that it cannot be had in the layouts of detectors; what they share is limbs12.
    """

    KEYPOINTS_ARE_SEEN = False  # They are simulated, with errors of the requested size.

    class Config(WorldConfig, MadeCamerasConfig):
        """Options of the source."""

        positions: Address = Field(min_length=1)
        """npz with positions_3d = {subject: {action: (frames, 17, 3)}}, h36m17, world."""

        fps: float = Field(default=60.0, gt=0, le=100_000)
        """Frames per second of the motion; the file does not say."""

        subjects: tuple[str, ...] = ()
        """Whom to import; empty: everyone."""

        actions: tuple[str, ...] = ()
        """What to import, by whole name or first word; empty: everything."""

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
        if not np.isfinite(motion).all((1, 2)).any():
            self.notes.append(f"{subject} {action}: no frame has all joints")
            return
        origin = f"mocap17:{stem(self._config.positions)}:seed{self._config.seed}"
        yield from film(self._config, origin, subject, action, motion, self._config.fps)


def _called(action: str) -> set[str]:
    return {action, action.split(" ")[0]}


def _check(field: str, requested: Sequence[str], known: set[str]) -> None:
    missing = [name for name in requested if name not in known]
    if missing:
        raise UserError(f"{field}: there is no {missing[0]!r} in the file; it has {', '.join(sorted(known))}")
