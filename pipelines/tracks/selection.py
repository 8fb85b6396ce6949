"""Selects tracks by name, and parts of tracks: ranges of frames, and the small subsets of semi-supervised training."""

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeVar, runtime_checkable

from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.errors import UserError
from schemas.mistakes import as_typed

SubsetStart = Literal["hash", "first"]


@runtime_checkable
class Described(Protocol):
    """A track, or a description of one such as `TrackInfo`."""

    @property
    def subject(self) -> str | None:
        """Who it is, if known."""
        ...

    @property
    def action(self) -> str | None:
        """What they do, if known."""
        ...

    @property
    def camera(self) -> str | None:
        """Which camera, if known."""
        ...


Track = TypeVar("Track", bound=Described)


@dataclass(frozen=True)
class Choice:
    """Which tracks to read; None chooses all.

    Attributes:
        subjects: Their exact names.
        actions: Whole names ("Sitting 1"), or the first word, which chooses all takes: "Sitting" chooses "Sitting 1"
            and never "SittingDown".
        cameras: Their exact names.
        prefix: Of the config's fields that name them, for messages.
    """

    subjects: Sequence[str] | None = None
    actions: Sequence[str] | None = None
    cameras: Sequence[str] | None = None
    prefix: str = ""

    def __str__(self) -> str:
        """What is chosen, as on a command line."""
        given = {name: getattr(self, name) for name in ("subjects", "actions", "cameras")}
        return " ".join(f"{self.prefix}{name}={as_typed(value)}" for name, value in given.items() if value is not None)


def choose(where: str, tracks: Sequence[Track], choice: Choice) -> list[Track]:
    """The tracks of a choice.

    Args:
        where: Name of the tracks for error messages.
        tracks: To choose from.
        choice: Which of them.

    Raises:
        UserError: No track has one of the names, or no track has all of them together.
    """
    chosen = list(tracks)
    for name in ("subject", "action", "camera"):
        requested = getattr(choice, f"{name}s")
        if requested is None:
            continue
        names = {known for track in tracks for known in _names(track, name)}
        for value in requested:
            if value not in names:
                near = difflib.get_close_matches(value, names, n=1)
                fix = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(names)[:20]) or 'none'}"
                raise UserError(f"{choice.prefix}{name}s: {where} has no track of {name} {value}; {fix}")
        chosen = [track for track in chosen if _names(track, name) & set(requested)]
    if not chosen:
        raise UserError(f"{where}: no track has all that is chosen, {choice}; choose less")
    return chosen


def _names(track: Described, name: str) -> set[str]:
    """The names by which the subject, action or camera of a track can be chosen."""
    value = getattr(track, name)
    if value is None:
        return set()
    return {value, value.split(" ")[0]} if name == "action" else {value}


def take(track: KeypointTrack, frames: slice) -> KeypointTrack:
    """Some frames of a track; a step of n divides its frame rate by n.

    Args:
        track: Any track.
        frames: Which frames of it, with a step of at least 1.
    """
    start, _, step = frames.indices(len(track))
    return replace(
        track,
        fps=track.fps / step,
        start_frame=track.start_frame + start,
        timestamps_s=track.timestamps_s[frames],
        boxes=track.boxes[frames],
        box_scores=track.box_scores[frames],
        keypoints=track.keypoints[frames],
        scores=track.scores[frames],
        interpolated=track.interpolated[frames],
        positions=None if track.positions is None else track.positions[frames],
    )


def subset(track: KeypointTrack, fraction: float, downsample: int = 1, start: SubsetStart = "hash") -> KeypointTrack:
    """A contiguous share of a track, every `downsample`-th frame of it; empty if the share rounds to 0 frames.

    With fraction 1 it equals resampling a track of constant rate to 1 / `downsample` of that rate.

    Args:
        track: Any track.
        fraction: Share of the frames to keep, in (0, 1].
        downsample: Keep every n-th frame.
        start: "hash": at a frame that follows from the length of the track (docs/method.md, augmentation and windows);
            "first": at its beginning.
    """
    return take(track, subset_frames(len(track), fraction, downsample, start))


def subset_frames(frames: int, fraction: float, downsample: int = 1, start: SubsetStart = "hash") -> slice:
    """Which frames `subset` keeps of a track of `frames` frames.

    n = round((T // d) f) d contiguous frames. Hashed starts are those of Pavllo et al. 2019: the SHA-256 of T's decimal
    digits chooses one of the T - n + 1 possible starts, so that tracks of equal length start at the same frame.
    """
    if fraction == 1:
        return slice(0, frames, downsample)
    kept = round(frames // downsample * fraction) * downsample
    first = 0
    if start == "hash":
        number = int.from_bytes(hashlib.sha256(str(frames).encode()).digest()[:4], "little")
        first = min(int(number / (2**32 - 1) * (frames - kept + 1)), frames - kept)
    return slice(first, first + kept, downsample)
