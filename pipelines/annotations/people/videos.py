"""Reads labeled frames of videos; shared by the sources whose people are in videos."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float32

from pipelines.annotations.people.source import LabeledImage, LabeledPeople, Unreadable
from pipelines.video.errors import VideoError
from pipelines.video.fetch import fetch_video
from pipelines.video.isolated import IsolatedReader

# Tracks have their origin (0, 0) at the corner of the first pixel, labeled people at its centre.
HALF_PIXEL = 0.5

# A part of this many frames takes seconds to decode, and gives tens of megabytes of crops.
_FRAMES_PER_PART = 256
# At most this many neighbouring frames are read at once, because 16 frames of 8K already take 1.6 GB.
_FRAMES_PER_READ = 16
# Size of this machine's cache of remote videos, which is the default of raylift label.
_CACHE_BYTES = 50 * 10**9


def inside(keypoints: Float32[np.ndarray, "*axes 2"], width: int, height: int) -> Bool[np.ndarray, "*axes"]:
    """Which points are inside the image; (0, 0) is its corner, as in `People`."""
    return np.all((keypoints >= 0) & (keypoints < (width, height)), axis=-1)


def stretches(first: int, stop: int, every: int) -> list[range]:
    """Every n-th frame of [first, stop), cut into parts."""
    length = every * _FRAMES_PER_PART
    return [range(start, min(start + length, stop), every) for start in range(first, stop, length)]


def read_frames(
    reader: IsolatedReader,
    video: str,
    people_of_frames: Mapping[int, LabeledPeople],
    size_wh: tuple[int, int],
    hosts: Collection[str] = (),
) -> Iterator[LabeledImage | Unreadable]:
    """The frames in which at least one person has a labeled joint.

    Args:
        reader: Reads the frames.
        video: Address of the video.
        people_of_frames: The people by number of their frame.
        size_wh: Width and height of the frames that the people were labeled in, px.
        hosts: Hosts of web servers that may have private addresses.

    Raises:
        RunFailed: The store of the video does not answer at all.
    """
    people = {frame: labeled.chosen(labeled.known) for frame, labeled in people_of_frames.items()}
    frames = sorted(frame for frame, labeled in people.items() if len(labeled))
    try:
        path = fetch_video(video, _CACHE_BYTES, hosts)
        for run in _runs(frames):
            # PyAV continues from its position, so the frames in between are decoded but not copied.
            decoded = reader.read(path, run.start, run.stop, None)
            height, width = decoded.images.shape[1:3]
            if len(decoded.images) and (width, height) != size_wh:
                yield Unreadable(video, f"is {width} × {height} px, its labels are for {size_wh[0]} × {size_wh[1]}")
                return
            for frame, pixels in zip(decoded.indices.tolist(), decoded.images, strict=True):
                yield LabeledImage(f"{video} frame {frame}", pixels, people[frame])
            if decoded.damage:
                yield Unreadable(video, decoded.damage)
    except VideoError as error:
        yield Unreadable(video, str(error))


def _runs(frames: Sequence[int]) -> Iterator[range]:
    """Runs of consecutive frames, none longer than `_FRAMES_PER_READ`."""
    start = 0
    for place in range(1, len(frames) + 1):
        ends = place == len(frames) or frames[place] != frames[place - 1] + 1
        if ends or place - start == _FRAMES_PER_READ:
            yield range(frames[start], frames[place - 1] + 1)
            start = place
