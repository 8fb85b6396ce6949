"""Asks stores and web servers which version of a video they hold now, or whether it is gone.

If many videos of a folder are asked for, and their store lists files, the folder is listed once. A host that does not
answer is given up after a few of its videos, because asking for each would take hours.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

from aiohttp import ClientError, ClientResponseError

from pipelines.io import storage
from pipelines.io.addresses import host_of
from pipelines.video.fetch import NOT_FOUND, why_not_read
from pipelines.video.numbered import NumberedPictures
from pipelines.video.remote_pictures import listed_version, listing, lists_files, version_of
from schemas.errors import RunFailed, UserError

GONE: Final = "gone"
"""Stands for the version of a video that no longer exists."""

# Number of concurrent requests, which wait for answers and do not compute.
_AT_ONCE = 32
# From this many videos of one folder on, the folder is listed, with a thousand entries per request, instead of asking
# for each.
_LISTED_FROM = 10
# After this many failed videos of a host, its other videos count as unknown.
_PATIENT = 3
_FAILURES = (OSError, ClientError, RunFailed, UserError)

_log = logging.getLogger(__name__)


def version_now(uri: str, hosts: Collection[str]) -> str | None:
    """The version of a remote video; None if it is unknown.

    Args:
        uri: Its address.
        hosts: As `storage.filesystem` takes them.
    """
    try:
        version = _ask(uri, hosts)
    except _FAILURES:
        return None  # the reason is reported when the video is read
    return None if version == GONE else version


def versions_now(uris: Sequence[str], hosts: Collection[str]) -> dict[str, str | None]:
    """The versions of remote videos, `GONE` for those that no longer exist, and None for unknown ones.

    Args:
        uris: Their addresses.
        hosts: As `storage.filesystem` takes them.
    """
    folders = defaultdict[str, list[str]](list)
    for uri in uris:
        folders[uri.rpartition("/")[0]].append(uri)
    asking = _Asking(hosts)
    versions: dict[str, str | None] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for folder_versions in pool.map(asking.about, _questions(folders)):
            versions |= folder_versions
    asking.tell_unknown()
    return versions


def _questions(folders: Mapping[str, Sequence[str]]) -> Iterator[Sequence[str]]:
    """Groups of videos that are asked for together: all of a folder that is listed, or a single one."""
    for folder, uris in folders.items():
        films = [uri for uri in uris if NumberedPictures.of_address(uri) is None]
        if len(films) >= _LISTED_FROM and lists_files(storage.filesystem(folder)[0]):
            yield films
            films = []
        yield from ([uri] for uri in uris if uri in films or NumberedPictures.of_address(uri) is not None)


class _Asking:
    """The requests of one job, and their results.

    Args:
        hosts: As `storage.filesystem` takes them.
    """

    def __init__(self, hosts: Collection[str]) -> None:
        self._hosts = hosts
        self._failures = Counter[str]()
        self._unknown: list[tuple[str, str]] = []

    def about(self, uris: Sequence[str]) -> dict[str, str | None]:
        """The versions of some videos, all of one folder if they are several."""
        host = host_of(uris[0])
        if self._failures[host] >= _PATIENT:
            self._unknown += [(uri, "its host does not answer") for uri in uris]
            return {}
        try:
            versions = _listed(uris, self._hosts) if len(uris) > 1 else {uris[0]: _ask(uris[0], self._hosts)}
        except _FAILURES as error:
            self._failures[host] += 1
            self._unknown += [(uri, why_not_read(uri, error)) for uri in uris]
            return {}
        self._failures[host] = 0
        return versions

    def tell_unknown(self) -> None:
        """Log how many versions are unknown, and the reason for the first."""
        if self._unknown:
            uri, reason = self._unknown[0]
            _log.warning(
                "%d labeled videos count as unchanged, because nobody says what they are now, such as %s: %s",
                len(self._unknown),
                uri,
                reason,
            )


def _ask(uri: str, hosts: Collection[str]) -> str | None:
    fs, path = storage.filesystem(uri, hosts)
    if pictures := NumberedPictures.of_address(uri):
        fs, folder = storage.filesystem(pictures.folder, hosts)
        if not lists_files(fs):
            return None
        try:
            entries = listing(fs, pictures.moved_to(f"{folder.rstrip('/')}/"))
        except FileNotFoundError:
            return GONE
        return version_of({name: listed_version(entry) for name, entry in entries.items()}) if entries else GONE
    try:
        entry = cast(Mapping[str, Any], fs.info(path))
    except FileNotFoundError as error:
        # fsspec reports every failure of a web server as "not found"; the real error is its cause.
        refusal = error.__cause__
        if refusal is None or (isinstance(refusal, ClientResponseError) and refusal.status in NOT_FOUND):
            return GONE
        raise
    return listed_version(entry)


def _listed(uris: Sequence[str], hosts: Collection[str]) -> dict[str, str | None]:
    fs, folder = storage.filesystem(uris[0].rpartition("/")[0], hosts)
    try:
        entries = cast(Sequence[Mapping[str, Any]], fs.ls(folder, detail=True, refresh=True))
    except FileNotFoundError:
        entries = ()
    versions = {
        storage.address_of(fs, str(entry["name"])): listed_version(entry)
        for entry in entries
        if entry.get("type") == "file"
    }
    return {uri: versions.get(uri, GONE) for uri in uris}
