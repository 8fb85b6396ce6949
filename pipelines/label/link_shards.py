"""Which videos' tracks share a file: few and short enough ones to link in bounded memory.

Videos are spread by the hash of their address; a bucket that holds too much is halved by the next bit of the hash.
So it depends only on what is labeled, not on the order, and a video more touches its own bucket alone. A bucket's file
is named by the hash of all that goes into it; linking again does only what changed.
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

# Few enough to link in a breath, and enough for files worth opening.
MOST_VIDEOS = 64
# Frames and people in frames, which weigh about the same: linking holds 1 kB of each.
MOST_WEIGHT = 500_000


@dataclass(frozen=True)
class Bucket:
    """The videos whose tracks share a file.

    Attributes:
        uri: The file to write.
        files: The detections files that hold the videos' clips.
        sources: What the present inputs say of the videos, by URI; the rows' own words serve for the others.
    """

    uri: str
    files: tuple[str, ...]
    videos: tuple[str, ...]
    sources: Mapping[str, VideoSource]


def plan_buckets(
    folder: str, ledger: Ledger, sources: Sequence[VideoSource], options: Mapping[str, Any]
) -> list[Bucket]:
    """The buckets that all videos of an output fall into, with the file names that their present content asks for.

    Args:
        folder: Where tracks lie.
        ledger: The videos and clips that are finished.
        sources: The present inputs.
        options: All other options that tracks depend on.
    """
    said = {source.uri: source for source in sources}
    uris = ledger.videos["video"].to_pylist()
    files = ledger.videos["files"].combine_chunks()
    contents = _contents(ledger)
    weights = ledger.videos["frames"].to_numpy() + ledger.videos["detections"].to_numpy()
    buckets = []
    for prefix, places in spread(uris, weights):
        videos = tuple(uris[place] for place in places)
        here = {video: said[video] for video in videos if video in said}
        content = [
            [video, contents[place], here[video].model_dump() if video in here else None]
            for video, place in zip(videos, places, strict=True)
        ]
        name = "-".join(filter(None, ("bucket", prefix, digest([FORMAT, dict(options), content]))))
        held = np.unique(files.take(places).flatten().to_numpy())
        buckets.append(
            Bucket(storage.join(folder, f"{name}.parquet"), tuple(ledger.files[file] for file in held), videos, here)
        )
    return buckets


def spread(uris: Sequence[str], weights: Int64[np.ndarray, " videos"]) -> Iterator[tuple[str, np.ndarray]]:
    """Bounded buckets; one video alone may be heavier.

    Args:
        uris: The videos.
        weights: What each adds to a bucket.

    Yields:
        The bits that the hashes of a bucket's videos begin with, and the videos' places in `uris`.
    """
    hashes = np.array([int.from_bytes(hashlib.sha256(uri.encode()).digest()[:8]) for uri in uris], np.uint64)
    order = np.argsort(hashes)
    yield from _halve(hashes[order], order, weights[order], "")


def remove_outdated(folder: str, buckets: Sequence[Bucket]) -> None:
    """Remove the tracks files that the present buckets have replaced."""
    current = {bucket.uri for bucket in buckets}
    for file in storage.list_folder(folder, ".parquet"):
        if file not in current and file.rsplit("/", 1)[1].startswith("bucket-"):
            storage.remove(file)


def _halve(
    hashes: UInt64[np.ndarray, " videos"],
    places: Int64[np.ndarray, " videos"],
    weights: Int64[np.ndarray, " videos"],
    prefix: str,
) -> Iterator[tuple[str, np.ndarray]]:
    if len(hashes) <= 1 or (len(hashes) <= MOST_VIDEOS and weights.sum() <= MOST_WEIGHT):
        if len(hashes):
            yield prefix, places
        return
    half = int(np.searchsorted(hashes, np.uint64(int(prefix + "1", 2) << (63 - len(prefix)))))
    yield from _halve(hashes[:half], places[:half], weights[:half], prefix + "0")
    yield from _halve(hashes[half:], places[half:], weights[half:], prefix + "1")


def _contents(ledger: Ledger) -> list[str]:
    """What tells the finished clips of each video from others: their frames."""
    spans = np.stack([ledger.finished[name].to_numpy() for name in ("start_frame", "stop_frame")], -1)
    ends = ledger.videos["done"].combine_chunks().offsets.to_numpy()
    return [hashlib.sha256(spans[a:b].tobytes()).hexdigest() for a, b in pairwise(ends)]
