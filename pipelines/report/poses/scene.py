"""What a page or a rendered video shows: people of one video, in 2D and lifted to 3D."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.lifted_track import LiftedTrack


@dataclass(frozen=True)
class Person:
    """One person of a scene; both tracks have the same frames.

    Attributes:
        keypoints: The 2D track.
        lifted: The same in 3D.
    """

    keypoints: KeypointTrack
    lifted: LiftedTrack


@dataclass(frozen=True)
class Scene:
    """People of one video or camera view.

    Attributes:
        title: What it is called where it is shown.
        people: Those in it, at least one.
        video: The video's file on this machine; None if there is none to show.
    """

    title: str
    people: tuple[Person, ...]
    video: Path | None
