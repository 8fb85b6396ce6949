"""The input of pages and rendered videos: the people of one video, in 2D and lifted to 3D."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack


@dataclass(frozen=True)
class Person:
    """One person of a scene; both tracks have the same frames.

    Attributes:
        keypoints: The 2D track.
        lifted: The 3D track.
    """

    keypoints: KeypointTrack
    lifted: LiftedTrack


@dataclass(frozen=True)
class Scene:
    """The people of one video or camera view.

    Attributes:
        title: Title of the page or video.
        people: The people, at least one.
        video: The video's file on this machine; None to show the people without it.
        levelled: Whether the space is turned so that people stand upright; otherwise up is the picture's up.
        stature_m: Standing height that the people were scaled to; None: as tall as the lifter takes them to be.
    """

    title: str
    people: tuple[Person, ...]
    video: Path | None
    levelled: bool = True
    stature_m: float | None = None
