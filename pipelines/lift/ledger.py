"""What an output already holds, read from its poses files, so that no separate record can disagree with them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines.io import storage
from pipelines.io.columns import document_of
from pipelines.io.manifest import require_same_settings
from pipelines.io.shards import is_failed
from pipelines.tracks.lifted_reader import check_format
from schemas import SETTINGS_KEY
from schemas.errors import UserError

_COLUMNS = ("track_id", "video", "person", "frames", "error")


@dataclass(frozen=True, slots=True)
class StoredTrack:
    """A lifted track in an output.

    Attributes:
        file: Address of its poses file.
        row: Its row in that file.
        source: Name of the tracks file that it comes from.
        track_id: Its id.
        video: Address of its video.
        person: Number of the person in the video.
        frames: Its length in frames.
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
        uri: Its address.
        tracks_folder: Folder of the tracks file.
        source: Name of the tracks file.
        table: The columns `_COLUMNS`.
    """

    uri: str
    tracks_folder: str
    source: str
    table: pa.Table

    @property
    def failed(self) -> bool:
        """Whether it holds tracks that could not be lifted."""
        return is_failed(self.uri)

    def tracks(self) -> Iterator[StoredTrack]:
        """Its lifted tracks; none if it holds failures."""
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
        """The part that comes from some tracks files."""
        return Ledger(tuple(file for file in self.files if file.source in sources))

    def tracks(self) -> Iterator[StoredTrack]:
        """All lifted tracks."""
        for file in self.files:
            yield from file.tracks()

    def videos(self) -> Iterator[str]:
        """The videos of all rows; a video may come several times."""
        for file in self.files:
            yield from file.table["video"].unique().to_pylist()

    def failures(self) -> list[dict[str, str]]:
        """The tracks that could not be lifted, and why."""
        rows = (row for file in self.files if file.failed for row in file.table.to_pylist())
        failures = [{"track_id": row["track_id"], "video": row["video"], "reason": row["error"]} for row in rows]
        return sorted(failures, key=lambda failure: (failure["video"], failure["track_id"]))


def settings_of(
    model: str, model_sha256: str, flip: bool, refine: bool, stature_m: float | None = None, smoothness: float = 1.0
) -> dict[str, Any]:
    """The settings that poses depend on. Models are compared by their hash; the name is for messages."""
    settings: dict[str, Any] = {"model": model, "model_sha256": model_sha256, "flip": flip}
    # Outputs of version 0.1.0 lack these settings, and are neither refined nor scaled.
    chosen = smoothness if refine and smoothness != 1 else None
    later = {"refine": refine or None, "stature_m": stature_m, "smoothness": chosen}
    return settings | {name: value for name, value in later.items() if value is not None}


def read_ledger(folder: str, settings: Mapping[str, Any]) -> Ledger:
    """Read what the poses files in a folder hold, and check that they were made with the same settings.

    Raises:
        UserError: The folder holds poses of another format or made with other settings.
    """
    files = storage.list_folder(folder, ".parquet")
    with ThreadPoolExecutor(16) as pool:  # the threads wait for storage, they do not compute
        return Ledger(tuple(pool.map(lambda file: _read(file, settings), files)))


def remove(files: Iterable[StoredFile]) -> None:
    """Remove poses files."""
    for file in files:
        storage.remove(file.uri)


def outdated(ledger: Ledger, folders: Collection[str], sources: Collection[str]) -> list[StoredFile]:
    """The poses files whose tracks files have been replaced.

    Args:
        ledger: What the output holds.
        folders: Folders of tracks of which all files are inputs; poses of tracks from elsewhere are kept.
        sources: Names of the tracks files that exist now.
    """
    return [file for file in ledger.files if file.tracks_folder in folders and file.source not in sources]


def _read(uri: str, settings: Mapping[str, Any]) -> StoredFile:
    metadata = check_format(uri)
    existing = document_of(uri, metadata, SETTINGS_KEY)
    if missing := [name for name in ("model", "model_sha256", "flip", "tracks", "source") if name not in existing]:
        raise UserError(f"{uri}: is damaged: it does not say its {missing[0]}; remove it and lift again")
    if existing["model_sha256"] == settings["model_sha256"]:
        # The model is the same but has another name, such as another address of the same file.
        settings = {**settings, "model": existing["model"]}
    require_same_settings(uri.rpartition("/")[0], _described(existing), _described(settings))
    return StoredFile(uri, existing["tracks"], existing["source"], storage.read_table(uri, list(_COLUMNS)))


def _described(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that must be equal, as messages name them."""
    return {
        "model": f"{settings['model']} (SHA-256 {settings['model_sha256'][:12]}…)",
        "flip": settings["flip"],
        "refine": settings.get("refine", False),
        "stature_m": settings.get("stature_m"),
        "smoothness": settings.get("smoothness", 1.0),
    }
