"""Writes tracks to files of bounded size while the tracks come; a file is named by a hash of its content."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipelines.io import storage
from pipelines.io.shard_builder import ShardBuilder
from pipelines.io.shards import FINISHED
from pipelines.tracks.keypoint_track import KeypointTrack
from schemas.formats.tracks import FORMAT, TRACKS

# Uncompressed bytes of a file, which a reader opens at once over a network.
FILE_BYTES = 64_000_000


def write_tracks(
    folder: str,
    tracks: Iterable[KeypointTrack],
    settings: Mapping[str, Any],
    on_track: Callable[[KeypointTrack], None] = lambda track: None,
) -> list[str]:
    """Write tracks of one joint layout; the same tracks and settings give the same files.

    At most a row group of tracks and one compressed file are held in memory.

    Args:
        folder: Where the files go; other tracks files in it are removed at the end.
        tracks: Iterated over once.
        settings: What the tracks depend on; kept in each file's metadata.
        on_track: Called with every track.

    Returns:
        URIs of the files, in the order of the tracks.

    Raises:
        RunFailed: The output cannot be written.
    """
    files: list[str] = []
    shard = None
    for track in tracks:
        shard = shard or ShardBuilder(TRACKS, FORMAT, track.layout, settings)
        shard.add(track.to_row())
        on_track(track)
        if shard.bytes >= FILE_BYTES:
            files.append(shard.write(folder, FINISHED, shard.track_ids))
            shard = None
    if shard:
        files.append(shard.write(folder, FINISHED, shard.track_ids))
    storage.remove_leftovers(folder)
    for outdated in set(storage.list_folder(folder, ".parquet")) - set(files):
        storage.remove(outdated)
    return files
