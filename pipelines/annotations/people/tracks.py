"""Source of labeled people from tracks and their videos: tracks of other systems, or tracks checked by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import Field

from pipelines.annotations.boxes import FLESH
from pipelines.annotations.people.source import (
    LabeledImage,
    LabeledPeople,
    Part,
    Unreadable,
    digest_of,
    people_of_joints,
)
from pipelines.annotations.people.videos import HALF_PIXEL, inside, read_frames, stretches
from pipelines.io import storage
from pipelines.io.addresses import named_hosts, require_nameable
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows, survey
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.tracks.selection import Choice
from pipelines.video.isolated import IsolatedReader
from schemas.errors import UserError
from schemas.job_config import Addresses, JobConfig
from schemas.layouts import JointLayout, layout


class TracksConfig(JobConfig):
    """Options of `data.name=tracks`."""

    tracks: Addresses
    """Tracks with correct keypoints (any URI): a file, a folder, or a list."""

    videos: str | None = None
    """Address of a track's video, with {subject}, {action} and {camera}; by default the address in the track."""

    every: int = Field(default=5, ge=1)
    """Use every n-th frame, because neighbouring frames are nearly the same."""

    subjects: tuple[str, ...] | None = None
    """Names of the people to use; by default all."""

    min_score: float = Field(default=0.5, ge=0, le=1)
    """Keypoints with a lower score count as unlabeled, and so do all interpolated ones."""


@dataclass(frozen=True)
class TracksPart:
    """Some frames of a video with tracks; a `Part`."""

    digest: str
    tracks: tuple[TrackInfo, ...]
    video: str
    frames: range
    min_score: float
    hosts: tuple[str, ...]

    @property
    def images(self) -> int:
        """Number of frames."""
        return len(self.frames)

    def read(self, reader: IsolatedReader) -> Iterator[LabeledImage | Unreadable]:
        """The frames one after another."""
        tracks = list(read_rows(self.tracks, labels=False))
        people_of_frames = {}
        for frame in self.frames:
            present = [track for track in tracks if 0 <= frame - track.start_frame < len(track)]
            if present:
                people_of_frames[frame] = self._people(present, frame)
        yield from read_frames(reader, self.video, people_of_frames, (tracks[0].width, tracks[0].height), self.hosts)

    def _people(self, tracks: Sequence[KeypointTrack], frame: int) -> LabeledPeople:
        keypoints = np.stack([track.keypoints[frame - track.start_frame] for track in tracks])
        scores = np.stack([track.scores[frame - track.start_frame] for track in tracks])
        observed = np.array([not track.interpolated[frame - track.start_frame] for track in tracks])
        labeled = (scores >= self.min_score) & observed[:, None] & inside(keypoints, tracks[0].width, tracks[0].height)
        return people_of_joints(keypoints - HALF_PIXEL, labeled, layout(tracks[0].layout), FLESH)


class Tracks:
    """The people of tracks, in the frames of their videos where their keypoints are confident."""

    Config: ClassVar[type[JobConfig]] = TracksConfig

    def __init__(self, config: TracksConfig) -> None:
        self._config = config

    def parts(self) -> tuple[JointLayout, Sequence[Part]]:
        """The joint layout of the keypoints, and ranges of frames of the videos.

        Raises:
            UserError: There are no tracks, or none of the requested subjects.
        """
        config = self._config
        infos = survey(config.tracks, Choice(subjects=config.subjects))
        by_video: dict[str, list[tuple[TrackInfo, int]]] = {}
        for info, place in _places(infos):
            by_video.setdefault(self._address(info, place["video"]), []).append((info, place["start_frame"]))
        parts, hosts = [], named_hosts(config.videos or (), allow_private=False)
        for video, tracks in by_video.items():
            first = min(start for _, start in tracks)
            stop = max(start + info.frames for info, start in tracks)
            for frames in stretches(first, stop, config.every):
                present = tuple(i for i, start in tracks if start < frames.stop and start + i.frames > frames.start)
                if present:
                    # The name of a tracks file is a hash of its content.
                    rows = [(info.file.rsplit("/", 1)[-1], info.row) for info in present]
                    digest = digest_of(rows, video, frames, config.min_score)
                    parts.append(TracksPart(digest, present, video, frames, config.min_score, hosts))
        return layout(infos[0].layout), parts

    def _address(self, info: TrackInfo, video: str) -> str:
        if self._config.videos is None:
            require_nameable(video, info.file)
            return video
        names = {name: getattr(info, name) or "" for name in ("subject", "action", "camera")}
        try:
            return storage.absolute(self._config.videos.format(**names))
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(
                f"videos={self._config.videos}: may name {{subject}}, {{action}} and {{camera}} and nothing else"
            ) from error


def _places(infos: Sequence[TrackInfo]) -> Iterator[tuple[TrackInfo, dict]]:
    """Video and first frame of each track."""
    for file in dict.fromkeys(info.file for info in infos):
        rows = storage.read_table(file, ["video", "start_frame"]).to_pylist()
        yield from ((info, rows[info.row]) for info in infos if info.file == file)
