"""Finds the videos that `videos=` names: a file, a folder, a glob, any fsspec URI, a list of these, or a manifest."""

import io
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pydantic import ValidationError

from pipelines.io import storage
from schemas.cameras import Intrinsics
from schemas.errors import UserError
from schemas.formats.videos import VideoSource

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv"),
)
MANIFEST_SUFFIXES = (".csv", ".parquet")
# A file may have a line break in its name.
_CSV = csv.ParseOptions(newlines_in_values=True)
_INTRINSICS = tuple(Intrinsics.model_fields)
_COLUMNS = ("uri", "subject", "action", "camera", *_INTRINSICS)
# Rows of a manifest that are Python objects at a time: it may name millions of videos.
_ROWS_AT_ONCE = 10_000


def find_videos(inputs: str | Sequence[str]) -> list[VideoSource]:
    """Every video that the inputs name, once each, in the order of their URIs.

    Raises:
        UserError: An input that does not exist or holds no video, a manifest that cannot be used, or one video
            named twice with different cameras or subjects.
    """
    sources: dict[str, VideoSource] = {}
    for entry in [inputs] if isinstance(inputs, str) else inputs:
        for source in _expand(entry):
            known = sources.setdefault(source.uri, source)
            if known != source:
                raise UserError(f"videos: {source.uri} is named twice, with different subject or camera; keep one")
    if not sources:
        raise UserError("videos: the list is empty; give a file, a folder, a glob, a URI or a manifest")
    return [sources[uri] for uri in sorted(sources)]


def _expand(entry: str) -> Iterator[VideoSource]:
    if not entry:
        raise UserError("videos: is empty; give a file, a folder, a glob, a URI or a manifest (.csv, .parquet)")
    fs, path = storage.filesystem(entry)
    # The name of an existing file may look like a pattern, and a signed link has a question mark.
    if any(mark in entry for mark in "*?[") and not fs.exists(path):
        matches = [p for p in fs.glob(path) if fs.isfile(p) and not _is_hidden(str(p))]
        if not matches:
            raise UserError(f"videos={entry}: nothing matches; check the pattern (quoted from the shell?)")
    elif entry.endswith(MANIFEST_SUFFIXES):
        yield from _manifest(entry)
        return
    elif fs.isdir(path):
        matches = [p for p in fs.find(path) if p.lower().endswith(VIDEO_SUFFIXES) and not _is_hidden(str(p))]
        if not matches:
            raise UserError(f"videos={entry}: the folder holds no videos ({', '.join(VIDEO_SUFFIXES[:6])}, …)")
    elif fs.exists(path):
        matches = [path]
    else:
        raise UserError(f"videos={entry}: there is no such file or folder")
    for match in matches:
        yield VideoSource(uri=_checked(storage.address_of(fs, str(match))))


def _manifest(uri: str) -> Iterator[VideoSource]:
    try:
        data = io.BytesIO(storage.read_bytes(uri))
        table = csv.read_csv(data, parse_options=_CSV) if uri.endswith(".csv") else pq.read_table(data)
    except OSError as error:
        raise UserError(f"videos={uri}: the manifest cannot be read: {error.strerror or error}") from error
    except pa.ArrowInvalid as error:
        raise UserError(f"videos={uri}: is not a manifest: {error}") from error
    if "uri" not in table.column_names:
        raise UserError(
            f"videos={uri}: a manifest needs the column 'uri', this one has {', '.join(table.column_names)}"
        )
    folder = uri.rpartition("/")[0] or "."
    rows = (row for batch in table.to_batches(_ROWS_AT_ONCE) for row in batch.to_pylist())
    for number, row in enumerate(rows, start=1):
        try:
            yield _row(row, folder)
        except (ValidationError, UserError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise UserError(f"videos={uri}: row {number} ({row['uri']}): {reason}") from error


def _row(row: dict[str, Any], folder: str) -> VideoSource:
    fields = {name: row[name] for name in _COLUMNS if row.get(name) not in (None, "") and not _is_nan(row[name])}
    if "uri" not in fields:
        raise UserError("the column 'uri' is empty")
    address = str(fields["uri"])
    if "://" not in address and not address.startswith("/"):
        address = storage.join(folder, address)
    camera = {name: fields[name] for name in _INTRINSICS if name in fields}
    return VideoSource(
        uri=_checked(storage.absolute(address)),
        **{name: str(fields[name]) for name in ("subject", "action", "camera") if name in fields},
        intrinsics=_shared(Intrinsics(**camera)) if camera else None,  # pyright: ignore[reportArgumentType]: frozen, so hashed
    )


@lru_cache(maxsize=1024)
def _shared(intrinsics: Intrinsics) -> Intrinsics:
    """One object for all equal intrinsics: a million videos of a few cameras would otherwise need a gigabyte."""
    return intrinsics


def _checked(uri: str) -> str:
    """The address, after checking that Arrow, JSON and the operating system can represent it."""
    try:
        if b"\0" not in uri.encode():
            return uri
    except UnicodeEncodeError:
        pass
    raise UserError(f"videos: {uri!a}: the name is no text (UTF-8); rename the file")


def _is_hidden(path: str) -> bool:
    """Whether it is a dot file, such as writers leave beside videos while they write."""
    return path.rpartition("/")[2].startswith(".")


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
