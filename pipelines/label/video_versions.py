"""Tells whether a video is still the file that was labeled, or another one of the same name.

The version of a local file is its size, the time of its last change and a hash of parts of it: where the time differs,
the hash tells a file that was only touched or copied from one that was replaced. The version of an object in a store is
what the store's listing says.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pipelines.io import storage
from pipelines.label.ledger import Ledger
from pipelines.video.numbered import NumberedPictures, is_there
from schemas.formats.videos import VideoSource

# The beginning, middle and end of a file, so many bytes each. Another recording or encoding differs in all three.
_PART_BYTES = 1 << 16


def local_version(path: Path) -> str:
    """The version of a file on this machine.

    Raises:
        OSError: It cannot be read.
    """
    size, time = _size_and_time(path)
    return f"{size}-{time}-{_hash(path)}"


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
    return [uri for uri in others if storage.is_local(uri) and not is_there(uri)]


def _has_changed(source: VideoSource, stored: str) -> bool:
    if not storage.is_local(source.uri):
        return source.version not in (None, stored)
    size, time, content = stored.split("-")
    try:
        size_now, time_now = map(str, _size_and_time(Path(source.uri)))
        if (size_now, time_now) == (size, time):
            return False
        return size_now != size or _hash(Path(source.uri)) != content
    except OSError:
        return False  # Whoever reads it says why it cannot be read.


def _files(path: Path) -> list[Path]:
    """The file, or the numbered pictures that the path means."""
    pictures = NumberedPictures.of_address(path)
    return [path for _, path in pictures.found()] if pictures else [path]


def _size_and_time(path: Path) -> tuple[int, int]:
    """Bytes, and the time of the last change, ns."""
    facts = [file.stat() for file in _files(path)]
    return sum(fact.st_size for fact in facts), max((fact.st_mtime_ns for fact in facts), default=0)


def _hash(path: Path) -> str:
    """A hash of parts of the file; of pictures, of their names and sizes and of the first, middle and last."""
    content, files = hashlib.sha256(), _files(path)
    if len(files) > 1:
        content.update(repr([(file.name, file.stat().st_size) for file in files]).encode())
        files = [files[0], files[len(files) // 2], files[-1]]
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as opened:
            for start in (0, max(0, size // 2), max(0, size - _PART_BYTES)):
                opened.seek(start)
                content.update(opened.read(_PART_BYTES))
    return content.hexdigest()[:16]
