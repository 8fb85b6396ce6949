"""Stretches of videos with people in them: what sources of labeled videos share."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float32

from pipelines.annotations.people.source import LabeledImage, LabeledPeople, Unreadable
from pipelines.video.errors import VideoError
from pipelines.video.fetch import fetch_video
from pipelines.video.isolated import IsolatedReader

# Crowns and soles, hands and shoulders reach so far beyond the joints.
FLESH = 1.2
# Truth and tracks count from the corner of the first pixel, sources from its centre.
HALF_PIXEL = 0.5

# Seconds of decoding, tens of megabytes of crops.
_FRAMES_PER_PART = 256
# Neighbours asked for together: 16 frames of 8K are 1.6 GB.
_FRAMES_PER_READ = 16
# Of videos from afar, kept on this machine: as jobs.label does by default.
_CACHE_BYTES = 50 * 10**9


def inside(keypoints: Float32[np.ndarray, "*axes 2"], width: int, height: int) -> Bool[np.ndarray, "*axes"]:
    """Which points are in the image, in the pixels of `People`."""
    return np.all((keypoints >= 0) & (keypoints < (width, height)), axis=-1)


def stretches(first: int, stop: int, every: int) -> list[range]:
    """Every so many frames, cut into parts."""
    length = every * _FRAMES_PER_PART
    return [range(start, min(start + length, stop), every) for start in range(first, stop, length)]


def read_frames(
    reader: IsolatedReader, video: str, wanted: Mapping[int, LabeledPeople]
) -> Iterator[LabeledImage | Unreadable]:
    """The frames with somebody to learn from.

    Raises:
        RunFailed: The store that holds the video is gone.
    """
    people = {frame: held.chosen(held.known) for frame, held in wanted.items()}
    frames = sorted(frame for frame, held in people.items() if len(held))
    try:
        path = fetch_video(video, _CACHE_BYTES)
        for run in _runs(frames):
            # PyAV goes on from where it is: what lies between the frames is decoded, but not copied.
            found = reader.read(path, run.start, run.stop, None, "pyav")
            for frame, pixels in zip(found.indices.tolist(), found.images, strict=True):
                yield LabeledImage(f"{video} frame {frame}", pixels, people[frame])
            if found.damage:
                yield Unreadable(video, found.damage)
    except VideoError as error:
        yield Unreadable(video, str(error))


def _runs(frames: Sequence[int]) -> Iterator[range]:
    """Neighbouring frames together."""
    start = 0
    for place in range(1, len(frames) + 1):
        ends = place == len(frames) or frames[place] != frames[place - 1] + 1
        if ends or place - start == _FRAMES_PER_READ:
            yield range(frames[start], frames[place - 1] + 1)
            start = place
