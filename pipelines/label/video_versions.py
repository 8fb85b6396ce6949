"""Tells whether a video is still the file that was labeled, or another one of the same name.

The version of a local file is its size, the time of its last change and a hash of parts of it: where the time differs,
the hash tells a file that was only touched or copied from one that was replaced. The version of an object in a store is
what the store's listing says.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipelines.io import storage
from pipelines.label.ledger import Ledger
from schemas.formats.videos import VideoSource

# The beginning, middle and end of a file, so many bytes each. Another recording or encoding differs in all three.
_PART_BYTES = 1 << 16


def local_version(path: Path) -> str:
    """The version of a file on this machine.

    Raises:
        OSError: It cannot be read.
    """
    facts = path.stat()
    return f"{facts.st_size}-{facts.st_mtime_ns}-{_hash(path, facts.st_size)}"


def changed_videos(sources: Sequence[VideoSource], ledger: Ledger) -> list[str]:
    """The videos that are not what they were when they were labeled; of those that lack a version nothing is known."""
    places = ledger.places([source.uri for source in sources])
    stored = ledger.videos["version"].to_pylist()
    known = [(source, stored[place]) for source, place in zip(sources, places, strict=True) if place >= 0]
    known = [(source, version) for source, version in known if version is not None]
    with ThreadPoolExecutor(16) as pool:  # waiting for storage, not computing
        changed = pool.map(lambda pair: _has_changed(*pair), known)
        return [source.uri for (source, _), other in zip(known, changed, strict=True) if other]


def gone_videos(sources: Sequence[VideoSource], ledger: Ledger) -> list[str]:
    """The labeled videos that are no input of this job and lie no longer where they were, on this machine."""
    present = {source.uri for source in sources}
    others = [uri for uri in ledger.videos["video"].to_pylist() if uri not in present]
    return [uri for uri in others if storage.is_local(uri) and not os.path.lexists(uri)]


def _has_changed(source: VideoSource, stored: str) -> bool:
    if not storage.is_local(source.uri):
        return source.version not in (None, stored)
    size, time, content = stored.split("-")
    try:
        facts = os.stat(source.uri)
        if (str(facts.st_size), str(facts.st_mtime_ns)) == (size, time):
            return False
        return str(facts.st_size) != size or _hash(Path(source.uri), facts.st_size) != content
    except OSError:
        return False  # Whoever reads it says why it cannot be read.


def _hash(path: Path, size: int) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        for start in (0, max(0, size // 2), max(0, size - _PART_BYTES)):
            file.seek(start)
            content.update(file.read(_PART_BYTES))
    return content.hexdigest()[:16]
