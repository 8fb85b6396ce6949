"""Reads tracks one by one, so that a damaged track does not affect the others."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipelines.io import storage
from pipelines.tracks.keypoint_reader import TrackInfo, read_rows
from pipelines.tracks.keypoint_track import KeypointTrack

# The exceptions for damaged rows: lists of different lengths, missing columns, bytes that cannot be decoded.
_DAMAGE = (ValueError, TypeError, KeyError, OSError, pa.ArrowException)

_DESCRIPTION = (
    *("video", "subject", "action", "camera", "person", "width", "height", "fps", "start_frame"),
    *("intrinsics_provenance",),
)


def read_one_by_one(tracks: Sequence[TrackInfo]) -> Iterator[tuple[TrackInfo, KeypointTrack | str]]:
    """Tracks of one file in the order of their rows, each with its content or the reason why it cannot be read."""
    todo = sorted(tracks, key=lambda track: track.row)
    for track in todo:
        if not track.frames:
            yield track, f"track {track.track_id}: has no frames"
    todo = [track for track in todo if track.frames]
    done = 0
    while done < len(todo):
        try:
            for track in read_rows(todo[done:], labels=False):
                done += 1
                yield todo[done - 1], track
            reason = "its file has changed"
        except _DAMAGE as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
        if done < len(todo):
            done += 1
            yield todo[done - 1], f"track {todo[done - 1].track_id}: cannot be read: {reason}"


def describe(file: str, tracks: Sequence[TrackInfo]) -> list[dict[str, Any]]:
    """The columns of tracks besides their frames; all None if the file cannot be read."""
    try:
        table = storage.read_table(file, list(_DESCRIPTION)).take([track.row for track in tracks])
        return table.to_pylist()
    except _DAMAGE:
        return [dict.fromkeys(_DESCRIPTION) for _ in tracks]
