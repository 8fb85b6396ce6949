"""Carnegie Mellon's motion capture, fetched from its own pages, as a file that `import_poses source=mocap17` reads."""

import hashlib
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from aiohttp import ClientError, ClientResponseError

from pipelines.datasets.asf_amc import read_motion, read_skeleton
from pipelines.io import json_documents, storage
from pipelines.io.stores.copies import Limits
from schemas.configs.fetch_mocap import ADDRESS
from schemas.errors import RunFailed, UserError

# The rate, frames/s, of nearly all motions; the files do not contain it.
FPS = 120
# CMU asks users of the data to quote this sentence.
NOTICE = (
    "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF "
    "EIA-0196217."
)
LICENCE = "CMU: free for research and in commercial products; the data themselves may not be resold."
FILES, MOTION, SOURCE = "files", "motion.npz", "source.json"
# Trials of a subject are numbered from 1, and a few numbers are missing. The search ends after this many missing ones
# in a row.
_LEFT_OUT = 3
_PART = ".part"
_READ_BYTES = 1 << 20
_LARGEST_BYTES = 200_000_000
_ATTEMPTS = 3
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Fetched:
    """What has been fetched.

    Attributes:
        motion: The npz with all motions.
        motions: How many.
        frames: How many frames they have together.
        bytes: Bytes that were downloaded now; files that were there are not fetched again.
    """

    motion: Path
    motions: int
    frames: int
    bytes: int


def fetch(
    subjects: Sequence[str],
    output: Path,
    address: str = ADDRESS,
    on_file: Callable[[str], None] = lambda name: None,
) -> Fetched:
    """Fetch all motions of some subjects, and write their joints; what is there already is kept.

    Args:
        subjects: Their numbers, such as 07.
        output: A folder on this machine.
        address: Where the folders of the subjects are.
        on_file: Called with the name of each file.

    Raises:
        UserError: The source lacks a subject, or a file has other contents than expected.
        RunFailed: The source cannot be reached, or the download keeps breaking off; or the folder cannot be written.
    """
    files = _Files(output / FILES, address, on_file)
    people: dict[str, dict[str, Any]] = {}
    for subject in subjects:
        uri = f"{subject}/{subject}.asf"
        content = files.get(uri)
        if content is None:
            raise UserError(f"subjects={subject}: {address}/{uri} is not there; give numbers such as 07 or 135")
        skeleton = read_skeleton(content.decode("utf-8", "replace"), f"{address}/{uri}")
        people[subject] = {
            trial: read_motion(text.decode("utf-8", "replace"), skeleton, f"{address}/{subject}/{trial}.amc")
            for trial, text in _trials(files, subject)
        }
        if not people[subject]:
            raise UserError(f"subjects={subject}: has no motions at {address}; give another")
    packed = io.BytesIO()
    np.savez_compressed(packed, positions_3d=np.array(people, dtype=object))
    storage.write_bytes(str(output / MOTION), packed.getbuffer())
    hashes = {name: f"sha256:{digest}" for name, digest in sorted(files.digests.items())}
    document = {"source": address, "notice": NOTICE, "licence": LICENCE, "fps": FPS, "files": hashes}
    json_documents.write(str(output / SOURCE), document)
    motions = [motion for trials in people.values() for motion in trials.values()]
    return Fetched(output / MOTION, len(motions), sum(map(len, motions)), files.bytes)


def _trials(files: "_Files", subject: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the motions of a subject."""
    number, missing = 1, 0
    while missing < _LEFT_OUT:
        name = f"{subject}_{number:02d}"
        content = files.get(f"{subject}/{name}.amc")
        missing = 0 if content is not None else missing + 1
        if content is not None:
            yield name, content
        number += 1


class _Files:
    """Files of the source in a folder; each is fetched once, and interrupted downloads are continued.

    Args:
        folder: Where they go.
        address: Where they are.
        on_file: Called with the name of each.

    Attributes:
        bytes: Bytes that were downloaded.
        digests: SHA-256 of each file that was asked for and is there.
    """

    def __init__(self, folder: Path, address: str, on_file: Callable[[str], None]) -> None:
        self._folder, self._address, self._on_file = folder, address.rstrip("/"), on_file
        known = json_documents.read(str(folder.parent / SOURCE)) if (folder.parent / SOURCE).exists() else {}
        if known.get("source", address) != address:
            raise UserError(f"output={folder.parent}: holds motion of {known['source']}; give another output")
        self._known: dict[str, str] = known.get("files", {})
        self.bytes, self.digests = 0, dict[str, str]()

    def get(self, name: str) -> bytes | None:
        """The content of a file; None if the source has none of this name."""
        path = self._folder / name
        if not path.exists() and not self._fetch(f"{self._address}/{name}", path):
            return None
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if self._known.get(name, f"sha256:{digest}") != f"sha256:{digest}":
            raise UserError(f"{path}: is not what was fetched (its SHA-256 has changed); remove it to fetch it again")
        self.digests[name] = digest
        self._on_file(name)
        return content

    def _fetch(self, uri: str, path: Path) -> bool:
        """Download a file under a temporary name; returns whether the source has it."""
        reason: Exception | None = None
        for attempt in range(_ATTEMPTS):
            try:
                return self._go_on(uri, path)
            except (OSError, ClientError, TimeoutError) as error:
                cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
                if isinstance(cause, FileNotFoundError):
                    return False
                if isinstance(cause, ClientResponseError) and cause.status in (404, 410):
                    return False
                reason = error
                time.sleep(_PAUSE_S * (attempt + 1))
        message = str(reason or "")
        why = "no answer" if message in ("", uri) else message.removeprefix(f"{uri}: ")
        raise RunFailed(f"{uri}: cannot be fetched: {why}; what was fetched is kept, run the same command again")

    def _go_on(self, uri: str, path: Path) -> bool:
        fs, there = storage.filesystem(uri)
        size = fs.info(there).get("size")
        part = path.with_name(path.name + _PART)
        part.parent.mkdir(parents=True, exist_ok=True)
        if size is not None and size > _LARGEST_BYTES:
            raise UserError(f"{uri}: has {size:,} bytes, motions have a few million; give other pages")
        if size is None:  # the server gives no size, and may not send parts
            content = _content(fs, there)
            part.write_bytes(content)
            self.bytes += len(content)
        else:
            done = part.stat().st_size if part.exists() else 0
            with part.open("ab" if done <= size else "wb") as file:
                while (done := file.tell()) < size:
                    stop = min(size, done + _READ_BYTES)
                    content = _content(fs, there, done, stop)
                    if len(content) > stop - done:  # the server ignores the range and sends the whole file
                        file.truncate(0)
                    if not content:
                        raise OSError("the server sends nothing more")
                    file.write(content)
                    self.bytes += len(content)
        if size is not None and part.stat().st_size != size:
            part.unlink()
            raise OSError(f"arrived with another size than {size:,} bytes")
        part.replace(path)
        return True


def _content(fs: Any, path: str, start: int | None = None, stop: int | None = None) -> bytes:
    """A part of a file or all of it. A web server may send more than it was asked for, and without an end."""
    if "http" not in fs.protocol:
        return cast(bytes, fs.cat_file(path, start=start, end=stop))
    content, limits = io.BytesIO(), Limits(path, _LARGEST_BYTES, "motions have at most {:,}")
    headers = {} if start is None or stop is None else {"Range": f"bytes={start}-{stop - 1}"}
    fs.get_file(path, content, headers=headers, callback=limits)
    return content.getvalue()
