"""Tells whether a video is still the file that was labeled, or another one of the same name.

The version of a local file is its size, the time of its last change and a hash of parts of it: where the time differs,
the hash tells a file that was only touched or copied from one that was replaced. The version of a remote file is what
its store or web server says.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pipelines.io import storage
from pipelines.label.ledger import Ledger
from pipelines.video.numbered import NumberedPictures, is_there
from pipelines.video.remote_versions import GONE, versions_now
from schemas.formats.videos import VideoSource

# The hash covers this many bytes at the beginning, middle and end of a file. Another recording or encoding differs in
# all three.
_PART_BYTES = 1 << 16
# One thread asks the file system for this many videos in turn, because a single one is too little for a task.
_TOGETHER = 100

_Video = TypeVar("_Video")


def local_version(path: Path) -> str:
    """The version of a file on this machine.

    Raises:
        OSError: The file cannot be read.
    """
    size, time = _size_and_time(path)
    return f"{size}-{time}-{_hash(path)}"


def ask_remote(sources: Sequence[VideoSource], ledger: Ledger, hosts: Collection[str]) -> dict[str, str | None]:
    """The versions of labeled videos that stores and web servers report now: a version, `GONE`, or None if unknown.

    They are asked for what no listing of the inputs has said: videos that a manifest names or that lie on a web server,
    and those that are no input any more.

    Args:
        sources: The inputs of the job.
        ledger: What its output holds.
        hosts: As `storage.filesystem` takes them.
    """
    known = {source.uri: source.version for source in sources if source.version is not None}
    labeled = ledger.videos["video"].to_pylist()
    asked = [uri for uri in labeled if uri not in known and not storage.is_local(uri)]
    return known | (versions_now(asked, hosts) if asked else {})


def changed_videos(
    sources: Sequence[VideoSource], ledger: Ledger, remote: Mapping[str, str | None] | None = None
) -> list[str]:
    """The videos that have changed since they were labeled; videos without a version are left out.

    Args:
        sources: The inputs of the job.
        ledger: What its output holds.
        remote: The versions of remote videos now.
    """
    places = ledger.places([source.uri for source in sources])
    stored = ledger.videos["version"].to_pylist()
    known = [(source.uri, stored[place]) for source, place in zip(sources, places, strict=True) if place >= 0]
    known = [(uri, version, (remote or {}).get(uri)) for uri, version in known if version is not None]
    return [uri for uri, *_ in _those(known, lambda video: _has_changed(*video))]


def gone_videos(
    sources: Sequence[VideoSource], ledger: Ledger, remote: Mapping[str, str | None] | None = None
) -> list[str]:
    """The labeled videos that are no longer at their address.

    Inputs are among them that are labeled whole, as those of a manifest may be: of others the job says that they cannot
    be read.

    Args:
        sources: The inputs of the job.
        ledger: What its output holds.
        remote: The versions of remote videos now.
    """
    uris = [source.uri for source in sources]
    read = {uri for uri, share in zip(uris, ledger.shares(uris), strict=True) if share < 1}
    others = [uri for uri in ledger.videos["video"].to_pylist() if uri not in read]
    return _those(others, lambda uri: _is_gone(uri, (remote or {}).get(uri)))


def _those(videos: Sequence[_Video], is_one: Callable[[_Video], bool]) -> list[_Video]:
    """The videos for which a check holds that has to ask the file system."""
    parts = [videos[start : start + _TOGETHER] for start in range(0, len(videos), _TOGETHER)]
    with ThreadPoolExecutor(16) as pool:  # the threads wait for storage, they do not compute
        return [video for chosen in pool.map(lambda part: list(filter(is_one, part)), parts) for video in chosen]


def _is_gone(uri: str, now: str | None) -> bool:
    return not is_there(uri) if storage.is_local(uri) else now == GONE


def _has_changed(uri: str, stored: str, now: str | None) -> bool:
    if not storage.is_local(uri):
        return now not in (None, GONE, stored)
    size, time, content = stored.split("-")
    try:
        size_now, time_now = map(str, _size_and_time(Path(uri)))
        if (size_now, time_now) == (size, time):
            return False
        return size_now != size or _hash(Path(uri)) != content
    except OSError:
        return False  # it is gone, or unreadable, which is reported when it is read


def _files(path: Path) -> list[Path]:
    """The file, or the numbered pictures that the path means."""
    pictures = NumberedPictures.of_address(path)
    return [path for _, path in pictures.existing_pictures()] if pictures else [path]


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
        with storage.open_file(str(file)) as opened:
            for start in (0, max(0, size // 2), max(0, size - _PART_BYTES)):
                opened.seek(start)
                content.update(opened.read(_PART_BYTES))
    return content.hexdigest()[:16]
