"""When and where a scene takes place: one timeline for all its people, and one space, z up, that contains them.

Lifted positions are in camera space (x right, y down, z forward). The shown axes are x, z and -y, so that up is up and
a viewer who looks along the second axis sees what the camera saw. The space is levelled by the people in it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from pipelines.report.poses.scene import Scene
from pipelines.tracks.levelling import SAMPLED_FRAMES, levelling_of
from pipelines.tracks.lifted_track import LiftedTrack
from pipelines.video.info import VideoInfo
from schemas.errors import UserError

# People without a trajectory stand side by side this far apart, m.
_APART_M = 1.4
# The space contains the positions between these percentiles, so that a wrongly lifted frame does not shrink the view.
_BULK = (0.5, 99.5)
_MARGIN_M = 0.25

_ALL = slice(None)


@dataclass(frozen=True)
class Timeline:
    """The frames that a scene shows, from the first to the last frame with a person.

    Attributes:
        first: Number of the first frame in the video.
        timestamps_s: When each frame is shown, s.
        cut: Number of frames left out at the end because there were too many.
    """

    first: int
    timestamps_s: Float64[np.ndarray, " frames"]
    cut: int

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.timestamps_s)

    @classmethod
    def of(cls, scene: Scene, info: VideoInfo | None, longest: int | None = None) -> "Timeline":
        """The timeline of a scene.

        Args:
            scene: The people to show.
            info: The result of `probe` on the scene's video; None without a video.
            longest: Most frames to show.

        Raises:
            UserError: The video ends before the first of the frames, so it is a different video.
        """
        tracks = [person.lifted for person in scene.people]
        first = min(track.start_frame for track in tracks)
        frames = max(track.start_frame + len(track) for track in tracks) - first
        if info is not None:
            if first >= info.frame_count:
                raise UserError(
                    f"video: {scene.video} has {info.frame_count} frames, and the first person comes in frame {first}; "
                    "name the video that these tracks are of"
                )
            frames = min(frames, info.frame_count - first)
        shown = min(frames, longest or frames)
        if info is not None:
            times = info.timestamps_s[first : first + shown]
        else:
            known = {t.start_frame + i: at for t in tracks for i, at in enumerate(t.timestamps_s)}
            numbers = np.array(sorted(known))
            times = np.interp(np.arange(first, first + shown), numbers, [known[number] for number in numbers])
        return cls(first, np.asarray(times, np.float64), frames - shown)


@dataclass(frozen=True)
class Stage:
    """The space of a scene, m: x right, y away from the camera, z up.

    Attributes:
        low: Lower corner of the box that contains people in all but a few frames; its z is the ground.
        high: Upper corner of the box.
        cell_m: Side of the ground's squares, m; width and depth of the box are multiples of it.
        travels: Whether people move through space; otherwise their roots stand still, side by side.
        axes: Rotation from camera space to this space.
        tilt_deg: Tilt of the camera that the rotation takes out, degrees; 0 if it is small or cannot be estimated.
        footsteps: Number of footsteps that the ground was found by; 0 if it is where the lowest joints are.
        ground_confidence: Share of the time of those footsteps that is near the ground.
    """

    low: Float64[np.ndarray, "3"]
    high: Float64[np.ndarray, "3"]
    cell_m: float
    travels: bool
    axes: Float64[np.ndarray, "3 3"]
    tilt_deg: float
    footsteps: int = 0
    ground_confidence: float = 0.0

    @classmethod
    def of(cls, scene: Scene) -> "Stage":
        """The space of a scene; people move through it if all of them have a trajectory."""
        tracks = [person.lifted for person in scene.people]
        travels = all(track.trajectory is not None for track in tracks)
        levelling = levelling_of(tracks, scene.levelled)
        axes, bounds = levelling.world_axes, []
        for index, track in enumerate(tracks):
            every = slice(None, None, max(1, len(track) // SAMPLED_FRAMES))
            roots = _roots(track, every, _place(scene, index), axes if travels else None)
            points = track.positions[every] @ axes.T.astype(np.float32) + roots[:, None]
            bounds.append(np.percentile(points.reshape(-1, 3), _BULK, axis=0))
        low, high = np.min(bounds, axis=(0, 1)) - _MARGIN_M, np.max(bounds, axis=(0, 1)) + _MARGIN_M
        low[2] = -levelling.ground_m
        cell_m = _cell_m(float((high - low)[:2].max()))
        low[:2], high[:2] = np.floor(low[:2] / cell_m) * cell_m, np.ceil(high[:2] / cell_m) * cell_m
        return cls(
            low=low.astype(np.float64),
            high=high.astype(np.float64),
            cell_m=cell_m,
            travels=travels,
            axes=axes,
            tilt_deg=levelling.tilt_deg,
            footsteps=levelling.footsteps,
            ground_confidence=levelling.ground_confidence,
        )

    def positions(self, scene: Scene, person: int, frames: slice = _ALL) -> Float32[np.ndarray, "frames joints 3"]:
        """A person's joints relative to the root, m, in these frames of the person's track."""
        return scene.people[person].lifted.positions[frames] @ self.axes.T.astype(np.float32)

    def roots(self, scene: Scene, person: int, frames: slice = _ALL) -> Float32[np.ndarray, "frames 3"]:
        """Where a person's root is shown, m, in these frames of the person's track."""
        return _roots(scene.people[person].lifted, frames, _place(scene, person), self.axes if self.travels else None)


def _place(scene: Scene, person: int) -> Float32[np.ndarray, "3"]:
    """Where a person without a trajectory stands: beside the others."""
    return np.array([(person - (len(scene.people) - 1) / 2) * _APART_M, 0, 0], np.float32)


def _roots(
    track: LiftedTrack, frames: slice, place: Float32[np.ndarray, "3"], axes: Float64[np.ndarray, "3 3"] | None
) -> Float32[np.ndarray, "frames 3"]:
    """The trajectory rotated into these axes, or the given place in every frame if there is no trajectory."""
    if axes is not None and track.trajectory is not None:
        return track.trajectory[frames] @ axes.T.astype(np.float32)
    return np.tile(place, (len(track.timestamps_s[frames]), 1))


def _cell_m(extent_m: float) -> float:
    """Side of the ground's squares: half a metre, or more if there would be over two dozen of them along a side."""
    return next((cell for cell in (0.5, 1.0, 2.0, 5.0, 10.0) if extent_m / cell <= 24), 50.0)
