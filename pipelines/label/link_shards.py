"""Link shards: which videos share a file of tracks, few and short enough to link them in bounded memory.

Videos are distributed by the hash of their address; a shard that would hold too much is halved by the next bit of the
hash. So a shard depends only on which videos are labeled, not on their order, and a new video changes only its own
shard. A shard's file is named by the hash of everything that goes into it: linking again does only what has changed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt64

from pipelines.io import storage
from pipelines.io.shards import digest
from pipelines.label.ledger import Ledger
from schemas.formats.tracks import FORMAT
from schemas.formats.videos import VideoSource

# A shard has at most this many videos: few enough to link within seconds, and enough for files that are worth opening.
MAX_VIDEOS = 64
# A shard has at most this many frames plus people in frames. Both need about the same memory: linking holds 1 kB of
# each.
MAX_WEIGHT = 500_000
# The prefix of file names. It is that of version 0.1.0, so that files of that version are recognised and replaced.
_PREFIX = "bucket"


@dataclass(frozen=True)
class LinkShard:
    """The videos whose tracks share a file.

    Attributes:
        uri: The file to write.
        files: The detections files that hold the videos' clips.
        videos: URIs of the videos.
        sources: What the present inputs say of the videos, by URI; for other videos the detections' own columns count.
    """

    uri: str
    files: tuple[str, ...]
    videos: tuple[str, ...]
    sources: Mapping[str, VideoSource]


def plan_link_shards(
    folder: str, ledger: Ledger, sources: Sequence[VideoSource], options: Mapping[str, Any]
) -> list[LinkShard]:
    """The shards of all videos of an output, with the file names that follow from their present content.

    Args:
        folder: Folder of the tracks.
        ledger: The videos and clips that are finished.
        sources: The present inputs.
        options: All other options that tracks depend on.
    """
    present = {source.uri: source for source in sources}
    uris = ledger.videos["video"].to_pylist()
    files = ledger.videos["files"].combine_chunks()
    contents = _contents(ledger)
    weights = ledger.videos["frames"].to_numpy() + ledger.videos["detections"].to_numpy()
    shards = []
    for bits, places in distribute(uris, weights):
        videos = tuple(uris[place] for place in places)
        shard_sources = {video: present[video] for video in videos if video in present}
        content = [
            [video, contents[place], shard_sources[video].facts() if video in shard_sources else None]
            for video, place in zip(videos, places, strict=True)
        ]
        name = "-".join(filter(None, (_PREFIX, bits, digest([FORMAT, dict(options), content]))))
        shard_files = np.unique(files.take(places).flatten().to_numpy())
        shards.append(
            LinkShard(
                storage.join(folder, f"{name}.parquet"),
                tuple(ledger.files[file] for file in shard_files),
                videos,
                shard_sources,
            )
        )
    return shards


def distribute(uris: Sequence[str], weights: Int64[np.ndarray, " videos"]) -> Iterator[tuple[str, np.ndarray]]:
    """Distribute videos over shards of bounded weight; one video alone may be heavier.

    Args:
        uris: The videos.
        weights: What each adds to the weight of its shard.

    Yields:
        The bits that the hashes of a shard's videos begin with, and the videos' places in `uris`.
    """
    hashes = np.array([int.from_bytes(hashlib.sha256(uri.encode()).digest()[:8]) for uri in uris], np.uint64)
    order = np.argsort(hashes)
    yield from _halve(hashes[order], order, weights[order], "")


def remove_outdated(folder: str, shards: Sequence[LinkShard]) -> None:
    """Remove the tracks files that the present shards have replaced."""
    current = {shard.uri for shard in shards}
    for file in storage.list_folder(folder, ".parquet"):
        if file not in current and file.rsplit("/", 1)[1].startswith(f"{_PREFIX}-"):
            storage.remove(file)


def _halve(
    hashes: UInt64[np.ndarray, " videos"],
    places: Int64[np.ndarray, " videos"],
    weights: Int64[np.ndarray, " videos"],
    prefix: str,
) -> Iterator[tuple[str, np.ndarray]]:
    if len(hashes) <= 1 or (len(hashes) <= MAX_VIDEOS and weights.sum() <= MAX_WEIGHT):
        if len(hashes):
            yield prefix, places
        return
    half = int(np.searchsorted(hashes, np.uint64(int(prefix + "1", 2) << (63 - len(prefix)))))
    yield from _halve(hashes[:half], places[:half], weights[:half], prefix + "0")
    yield from _halve(hashes[half:], places[half:], weights[half:], prefix + "1")


def _contents(ledger: Ledger) -> list[str]:
    """A hash for each video of which frames its finished clips hold, and of which file, as far as that is known."""
    spans = np.stack([ledger.finished[name].to_numpy() for name in ("start_frame", "stop_frame")], -1)
    ends = ledger.videos["done"].combine_chunks().offsets.to_numpy()
    versions = ledger.videos["version"].to_pylist()
    parts = zip(pairwise(ends), versions, strict=True)
    return [hashlib.sha256(spans[a:b].tobytes() + (version or "").encode()).hexdigest() for (a, b), version in parts]
