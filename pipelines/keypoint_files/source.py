"""Keypoints of other systems as tracks: files are read, people are linked over time, sizes and times are found.

Each format is a plug-in of the table `KEYPOINT_SOURCES` (`formats.py`); they differ only in their reader.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from pipelines.datasets.pose_source import PoseSourceConfig, digest, fill_missing
from pipelines.io import storage
from pipelines.io.unknown_origin import blamed
from pipelines.keypoint_files.found_videos import FASTEST_FPS, FoundVideo, require_frame_numbers, up_to_one
from pipelines.pose.in_picture import why_not_pixels
from pipelines.pose.people import People
from pipelines.tracking.tracker import track_people
from pipelines.tracking.tracks import Frame, Timeline
from pipelines.tracks.keypoint_track import KeypointTrack
from pipelines.video import own_child
from pipelines.video.errors import VideoError
from pipelines.video.fetch import fetch_video
from pipelines.video.info import VideoInfo
from schemas.configs.link import LinkConfig
from schemas.errors import UserError
from schemas.job_config import Addresses

# Size of this machine's cache of remote videos, which is the default of raylift label.
_CACHE_BYTES = 50 * 10**9
# At least this share of the joints must lie in their pictures or near the edge.
_LEAST_WITHIN = 0.9
# Added to the time for which a person may be away, because times are rounded, s.
_SPARE_S = 1.0


class KeypointFilesConfig(PoseSourceConfig):
    """Options of every source of keypoints."""

    files: Addresses
    """The files, or folders of files (any URI)."""

    videos: Addresses | None = None
    """The videos that the keypoints are of, or folders of them: their sizes and times are read. Found by name."""

    width: int | None = Field(default=None, ge=1)
    """Width of the pictures, px, without videos."""

    height: int | None = Field(default=None, ge=1)
    """Height of the pictures, px, without videos."""

    fps: float | None = Field(default=None, gt=0, le=FASTEST_FPS)
    """Frames per second, without videos."""

    link: LinkConfig = LinkConfig()
    """How the people of each frame are joined into tracks."""


class NamedKeypointsConfig(KeypointFilesConfig):
    """Options of sources whose joints have names of their users' own."""

    names: dict[str, str] = Field(default={})
    """Joint names by other names, where these are not understood: {hipL: left_hip}."""


class KeypointFiles:
    """Keypoints of one format as tracks; a `PoseSource` without positions."""

    Config: ClassVar[type[KeypointFilesConfig]] = KeypointFilesConfig
    """The options of the source."""

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    """Endings of the files that are read from folders."""

    reader: ClassVar[Callable[..., Iterator[FoundVideo]]]
    """Reads a file; gets its address, and the options of its format."""

    def __init__(self, config: KeypointFilesConfig) -> None:
        self.config = config
        self.notes: list[str] = []

    def inputs(self) -> Mapping[str, Sequence[str]]:
        """All files of keypoints."""
        return {"files": [file for entry in self.entries() for file in self.files_in(entry)]}

    def tracks(self) -> Iterator[KeypointTrack]:
        """The tracks of all videos.

        Raises:
            UserError: The files cannot be read or have another format, or the size or rate of their pictures is not
                known or cannot be right.
        """
        videos = self._videos()
        for as_read in self._labeled_videos():
            labeled, note = up_to_one(as_read)
            self.notes += filter(None, [labeled.note, note])
            yield from self._link(labeled, videos.get(labeled.name))

    def _labeled_videos(self) -> Iterator[FoundVideo]:
        files = [file for entry in self.entries() for file in self.files_in(entry)]
        for file, times in Counter(map(storage.absolute, files)).items():
            if times > 1:
                raise UserError(f"source.files: holds {file} {times} times; name every file once")
        for file in files:
            yield from _as_one_line(file, self.read(file))

    def read(self, uri: str) -> Iterator[FoundVideo]:
        """The videos of a file.

        Raises:
            UserError: The file is not of this format.
        """
        return type(self).reader(uri)

    def entries(self) -> Sequence[str]:
        """The files and folders that the user gave."""
        files = self.config.files
        return [files] if isinstance(files, str) else files

    def files_in(self, entry: str) -> list[str]:
        """The files of an entry, which is a file or a folder."""
        fs, path = storage.filesystem(entry)
        if not fs.exists(path):
            raise UserError(f"source.files={entry}: there is no such file or folder")
        if not fs.isdir(path):
            return [entry]
        files = [file for suffix in self.suffixes for file in storage.list_folder(entry, suffix)]
        if not files:
            raise UserError(f"source.files={entry}: the folder holds no files *{', *'.join(self.suffixes)}")
        return files

    def _videos(self) -> dict[str, str]:
        """The addresses of the videos by name."""
        given = self.config.videos
        files: list[str] = []
        for entry in [given] if isinstance(given, str) else given or ():
            fs, path = storage.filesystem(entry)
            files += storage.list_folder(entry) if fs.isdir(path) else [entry]
        return {file.rpartition("/")[2].rpartition(".")[0]: storage.absolute(file) for file in files}

    def _link(self, labeled: FoundVideo, video: str | None) -> Iterator[KeypointTrack]:
        """The tracks of one video."""
        info = self._probe(labeled, video)
        width, height = (info.width, info.height) if info else (self.config.width, self.config.height)
        if width is None or height is None:
            raise UserError(
                f"{labeled.file}: the size of the pictures of {labeled.name} is not known; give source.videos=…, or "
                "source.width and source.height"
            )
        if labeled.shares:
            labeled = _in_pixels(labeled, width, height)
        if self.config.check:
            _require_plausible(labeled, width, height)
        times = self._times(labeled, info)
        frames = _with_people_or_soon_after(labeled, times, self.config.link.max_gap_s)
        timeline = Timeline(np.arange(len(times)), times)
        fps = (len(times) - 1) / float(np.ptp(times)) if len(times) > 1 and np.ptp(times) > 0 else self.config.fps
        name = video or labeled.name
        tracks = track_people(frames, timeline, labeled.layout, self.config.link) if frames else []
        if not tracks:
            self.notes.append(
                f"{labeled.file}: nobody in {labeled.name} is there often and long enough (source.link.*)"
            )
        for person, track in enumerate(tracks):
            keypoints, _ = fill_missing(np.where(track.keypoint_scores[..., None] > 0, track.keypoints, np.nan), None)
            yield KeypointTrack(
                track_id=digest([name, person, int(track.indices[0])]),
                video=name,
                **dict.fromkeys(("subject", "action", "camera", "intrinsics", "positions", "positions_layout")),
                person=person,
                layout=labeled.layout.name,
                width=width,
                height=height,
                fps=float("nan") if fps is None else fps,
                start_frame=int(track.indices[0]),
                timestamps_s=track.timestamps_s,
                boxes=track.boxes,
                box_scores=track.box_scores,
                keypoints=np.where(track.interpolated[:, None, None], track.keypoints, keypoints).astype(np.float32),
                scores=track.keypoint_scores,
                interpolated=track.interpolated,
                intrinsics_provenance="none",
            )

    def _probe(self, labeled: FoundVideo, video: str | None) -> VideoInfo | None:
        if video is None and self.config.videos is not None:
            raise UserError(f"{labeled.file}: source.videos={self.config.videos} has no video named {labeled.name}")
        try:
            return None if video is None else own_child.probe(fetch_video(video, _CACHE_BYTES))
        except VideoError as error:
            raise UserError(f"{video}: {error}; leave source.videos out, or give another") from error

    def _times(self, labeled: FoundVideo, info: VideoInfo | None) -> Float64[np.ndarray, " frames"]:
        """The time of each frame, s, from the first of the video to the last that the file names."""
        count = max(labeled.frames, default=-1) + 1
        if info is not None:
            if count > info.frame_count:
                raise UserError(
                    f"{labeled.file}: speaks of frame {count - 1}, but {labeled.name} has {info.frame_count} frames; "
                    "give the video that was labeled"
                )
            return np.asarray(info.timestamps_s[:count], np.float64)
        fps = self.config.fps or labeled.fps
        if fps is None:
            raise UserError(
                f"{labeled.file}: the frame rate of {labeled.name} is not known; give source.videos=… or source.fps"
            )
        return np.arange(count) / fps


def _as_one_line(file: str, videos: Iterator[FoundVideo]) -> Iterator[FoundVideo]:
    """The videos of a file of unknown origin.

    Raises:
        UserError: The file is not of this format, or claims too many frames.
    """
    try:
        with blamed(file):
            for video in videos:
                require_frame_numbers(video.frames, file)
                yield video
    except UserError as error:
        raise error if file in str(error) else UserError(f"{file}: {error}") from error


def _with_people_or_soon_after(labeled: FoundVideo, times: Float64[np.ndarray, " frames"], gap_s: float) -> list[Frame]:
    """The frames that the tracker may use: a small file may hold millions of others, which all show nobody.

    Args:
        labeled: The video.
        times: The time of each frame, s.
        gap_s: How long a person may be away, s.
    """
    frames: list[Frame] = []
    last_s = -np.inf
    for number in sorted(labeled.frames):
        people, time_s = labeled.frames[number], float(times[number])
        last_s = time_s if len(people) else last_s
        if time_s <= last_s + gap_s + _SPARE_S:
            frames.append(Frame(number, time_s, people))
    return frames


def _in_pixels(labeled: FoundVideo, width: int, height: int) -> FoundVideo:
    size = np.array([width, height], np.float32)

    def scaled(people: People) -> People:
        return replace(people, boxes=people.boxes * np.tile(size, 2), keypoints=people.keypoints * size)

    return replace(labeled, frames={number: scaled(people) for number, people in labeled.frames.items()}, shares=False)


def _require_plausible(labeled: FoundVideo, width: int, height: int) -> None:
    """Check that the joints can be those of people in pictures of this size.

    Raises:
        UserError: The joints cannot be those of people in such pictures.
    """
    points = [people.keypoints[people.keypoint_scores > 0] for people in labeled.not_empty()]
    joints = np.concatenate(points) if points else np.zeros((0, 2), np.float32)
    if reason := why_not_pixels(joints, width, height, _LEAST_WITHIN):
        raise UserError(f"{labeled.file}: keypoints of {labeled.name} {reason}, or source.check=false")
