"""What an output folder already holds. The output is the only ledger: no side file can disagree with it."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.io import storage
from pipelines.io.manifest import require_same_settings
from pipelines.io.shards import is_failed
from pipelines.tracks.lifted_reader import check_format
from schemas import SETTINGS_KEY

_COLUMNS = ("track_id", "video", "person", "frames", "error")


@dataclass(frozen=True, slots=True)
class StoredTrack:
    """A lifted track in an output.

    Attributes:
        file: URI of its poses file.
        row: Its row there.
        source: Name of the tracks file that it comes from.
        track_id: Identifies it.
        video: URI of its video.
        person: Counts the people of the video.
        frames: Its length.
    """

    file: str
    row: int
    source: str
    track_id: str
    video: str
    person: int
    frames: int


@dataclass(frozen=True)
class StoredFile:
    """A poses file; all its tracks come from one tracks file.

    Attributes:
        uri: Where it is.
        tracks_folder: Where that tracks file was.
        source: Its name.
        table: `_COLUMNS` of its rows.
    """

    uri: str
    tracks_folder: str
    source: str
    table: pa.Table

    @property
    def failed(self) -> bool:
        """Whether its rows say why tracks could not be lifted."""
        return is_failed(self.uri)

    def tracks(self) -> Iterator[StoredTrack]:
        """Its rows, unless they failed."""
        for row, values in enumerate([] if self.failed else self.table.to_pylist()):
            described = {name: values[name] for name in _COLUMNS if name != "error"}
            yield StoredTrack(self.uri, row, self.source, **described)


@dataclass(frozen=True)
class Ledger:
    """The poses files of an output."""

    files: tuple[StoredFile, ...]

    def done(self) -> dict[str, set[str]]:
        """Ids of the lifted tracks by the name of their tracks file."""
        done: dict[str, set[str]] = {}
        for file in self.files:
            if not file.failed:
                done.setdefault(file.source, set()).update(file.table["track_id"].to_pylist())
        return done

    def of(self, sources: Collection[str]) -> "Ledger":
        """Those of some tracks files alone."""
        return Ledger(tuple(file for file in self.files if file.source in sources))

    def tracks(self) -> Iterator[StoredTrack]:
        """All lifted tracks."""
        for file in self.files:
            yield from file.tracks()

    def videos(self) -> Iterator[str]:
        """Those of all rows, not each once."""
        for file in self.files:
            yield from file.table["video"].unique().to_pylist()

    def failures(self) -> list[dict[str, str]]:
        """The tracks that could not be lifted, and why."""
        rows = (row for file in self.files if file.failed for row in file.table.to_pylist())
        found = [{"track_id": row["track_id"], "video": row["video"], "reason": row["error"]} for row in rows]
        return sorted(found, key=lambda failure: (failure["video"], failure["track_id"]))


def settings_of(model: str, model_sha256: str, flip: bool) -> dict[str, Any]:
    """What poses depend on; the model's name is told, its hash decides."""
    return {"model": model, "model_sha256": model_sha256, "flip": flip}


def read_ledger(folder: str, settings: Mapping[str, Any]) -> Ledger:
    """Read what the poses files in a folder hold, and check that they were made with the same settings.

    Raises:
        UserError: The folder holds poses of another format or made with other settings.
    """
    files = storage.list_folder(folder, ".parquet")
    with ThreadPoolExecutor(16) as pool:  # waiting for storage, not computing
        return Ledger(tuple(pool.map(lambda file: _read(file, settings), files)))


def remove(files: Iterable[StoredFile]) -> None:
    """Remove poses files."""
    for file in files:
        storage.remove(file.uri)


def outdated(ledger: Ledger, folders: Collection[str], sources: Collection[str]) -> list[StoredFile]:
    """The poses files whose tracks files have been replaced.

    Args:
        ledger: What the output holds.
        folders: Folders of tracks that were given whole; what came from elsewhere stays.
        sources: Names of the tracks files that are there now.
    """
    return [file for file in ledger.files if file.tracks_folder in folders and file.source not in sources]


def _read(uri: str, settings: Mapping[str, Any]) -> StoredFile:
    metadata = check_format(uri)
    existing = json.loads(metadata[SETTINGS_KEY])
    if existing["model_sha256"] == settings["model_sha256"]:
        # The same model under another name, such as another address of the same file.
        settings = {**settings, "model": existing["model"]}
    require_same_settings(uri.rpartition("/")[0], _described(existing), _described(settings))
    return StoredFile(uri, existing["tracks"], existing["source"], storage.read_table(uri, list(_COLUMNS)))


def _described(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that must be equal, as messages say them."""
    return {"model": f"{settings['model']} (SHA-256 {settings['model_sha256'][:12]}…)", "flip": settings["flip"]}
