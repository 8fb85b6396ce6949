"""Manifests: tables of videos (CSV or Parquet) with what is known of each. Text in them is kept as it is written."""

import codecs
import csv
import difflib
import io
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from pipelines.io import storage
from pipelines.io.addresses import require_nameable
from pipelines.io.parquet import ParquetTable
from schemas.cameras import Intrinsics
from schemas.errors import UserError
from schemas.formats.videos import VideoSource

SUFFIXES = (".csv", ".tsv", ".parquet")
_INTRINSICS = tuple(Intrinsics.model_fields)
_TEXT = ("uri", "subject", "action", "camera", "distortion")
_NUMBERS = (*(name for name in _INTRINSICS if name != "distortion"), "width", "height", "fov")
_COLUMNS = (*_TEXT, *_NUMBERS)
# Coefficients of OpenCV's further models, and the skew of the axes. They are refused, because the other coefficients
# are wrong without them.
_OTHER_LENSES = ("k5", "k6", "s1", "s2", "s3", "s4", "tau_x", "tau_y", "skew")
_COLUMN_OF_FIELD = {"fov_deg": "fov", "calibrated_wh.0": "width", "calibrated_wh.1": "height"}
# Values that other programs write where a number is missing.
_MISSING = {"", "na", "n/a", "nan", "null", "none"}
_DELIMITERS = (",", ";", "\t")
# The most rows of a manifest, and letters of a text; a Parquet file of a kilobyte may claim any number of them.
MOST_ROWS, MOST_LETTERS = 50_000_000, 32_768
# At most this many rows of a Parquet manifest are Python objects at a time, because it may name millions of videos.
_ROWS_AT_ONCE = 10_000

_log = logging.getLogger(__name__)


def read_manifest(uri: str) -> Iterator[VideoSource]:
    """The videos of a manifest, in its order; relative addresses are relative to its folder.

    Raises:
        UserError: The manifest cannot be read, or a column or a row is wrong.
    """
    rows = _parquet_rows if uri.lower().endswith(".parquet") else _csv_rows
    folder = uri.rpartition("/")[0] or "."
    try:
        for number, row in enumerate(rows(uri, storage.read_bytes(uri)), start=1):
            try:
                yield _video(row, folder)
            except (ValidationError, UserError) as error:
                raise UserError(f"row {number} ({str(row.get('uri'))[:200]}): {_reason(error)}") from error
    except OSError as error:
        raise UserError(f"videos={uri}: the manifest cannot be read: {error.strerror or error}") from error
    except UserError as error:
        raise UserError(f"videos={uri}: {error}") from error


def _csv_rows(uri: str, data: bytes) -> Iterator[Mapping[str, Any]]:
    text = _decoded(data)
    header, options = _header(text)
    columns = _columns(uri, header)
    # If the header has a space after each comma, spaces at the beginning of values do not belong to them.
    spaced = any(name.startswith(" ") for name in header[1:])
    lines = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=spaced, **options)
    number = 0
    try:
        for number, cells in enumerate(filter(None, lines)):
            if len(cells) != len(header):
                raise UserError(
                    f"row {number}: has {len(cells)} values, the header {len(header)} columns; "
                    f'put a value with {options["delimiter"]!r} or line breaks in it into quotes ("…")'
                )
            if number:
                yield {name: cells[place] for name, place in columns.items()}
    except csv.Error as error:
        raise UserError(f"row {number + 1}: is not CSV: {error}") from error


def _decoded(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        # In such an encoding any bytes are valid text, so the encoding cannot be found out.
        raise UserError(f"line {line}: is not UTF-8 but some older encoding; save the manifest as UTF-8") from error


def _header(text: str) -> tuple[list[str], dict[str, Any]]:
    """The first row, and the delimiter with which one of its columns is the address."""
    headers = []
    for delimiter in _DELIMITERS:
        try:
            cells = next(filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)), [])
        except csv.Error as error:
            raise UserError(f"is not CSV: {error}") from error
        headers.append((cells, {"delimiter": delimiter}))
        if "uri" in map(_normal, cells):
            return headers[-1]
    return max(headers, key=lambda header: len(header[0]))


def _parquet_rows(uri: str, data: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        yield from _rows_of(uri, ParquetTable(io.BytesIO(data), _ROWS_AT_ONCE * MOST_LETTERS))
    except pa.ArrowException as error:
        raise UserError(f"is not a manifest: {' '.join(str(error).split())}") from error


def _rows_of(uri: str, table: ParquetTable) -> Iterator[Mapping[str, Any]]:
    schema = table.schema
    columns = _columns(uri, schema.names)
    if table.metadata.num_rows > MOST_ROWS:
        raise UserError(f"claims {table.metadata.num_rows:,} rows; at most {MOST_ROWS:,}: give several manifests")
    for name, place in columns.items():
        column_type = schema.field(place).type
        column_type = column_type.value_type if pa.types.is_dictionary(column_type) else column_type
        is_text = pa.types.is_string(column_type) or pa.types.is_large_string(column_type)
        is_number = pa.types.is_floating(column_type) or pa.types.is_decimal(column_type)
        is_whole = pa.types.is_integer(column_type) and name != "uri"
        if not (is_text or is_whole or pa.types.is_null(column_type) or (is_number and name not in _TEXT)):
            raise UserError(
                f"the column {name!r} holds {column_type}; store it as {'text' if name in _TEXT else 'numbers'}"
            )
    for group in range(table.metadata.num_row_groups):
        for batch in table.batches(group, _ROWS_AT_ONCE, [schema.names[place] for place in columns.values()]):
            values = [batch.column(schema.names[place]).to_pylist() for place in columns.values()]
            yield from (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))


def _columns(uri: str, header: Sequence[str]) -> dict[str, int]:
    """The places of the columns that a manifest may have.

    Raises:
        UserError: The address is missing, a column occurs twice, or one is probably misspelled.
    """
    places: dict[str, int] = {}
    others = []
    for place, written in enumerate(header):
        name = _normal(written)
        if name in places:
            raise UserError(f"the column {name!r} stands twice; keep one")
        if name in (*_COLUMNS, *_OTHER_LENSES):
            places[name] = place
        elif near := difflib.get_close_matches(name, _COLUMNS, n=1, cutoff=0.75):
            raise UserError(f"there is no column {written.strip()!r}; did you mean {near[0]!r}?")
        else:
            others.append(written.strip() or "one without a name")
    if "uri" not in places:
        shown = ", ".join(name.strip() for name in header) or "none"
        raise UserError(f"a manifest needs the column 'uri', this one has {shown}; it may have {', '.join(_COLUMNS)}")
    if others:
        known = ", ".join(_COLUMNS)
        _log.warning("videos=%s: columns that say nothing here: %s; it may have %s", uri, ", ".join(others), known)
    return places


def _normal(name: str) -> str:
    return name.strip().casefold()


def _video(row: Mapping[str, Any], folder: str) -> VideoSource:
    text = {name: _text(name, row[name]) for name in _TEXT if name in row}
    text = {name: value for name, value in text.items() if value}
    numbers = {name: row[name] for name in _NUMBERS if name in row and not _is_missing(row[name])}
    if "uri" not in text:
        raise UserError("the column 'uri' is empty")
    address = text.pop("uri")
    if "://" not in address and not address.startswith("/"):
        address = storage.join(folder, address)
    if others := [
        name for name in _OTHER_LENSES if name in row and not _is_missing(row[name]) and not _is_zero(row[name])
    ]:
        raise UserError(
            f"{', '.join(others)}: this lens model is not supported; calibrate with OpenCV's k1, k2, p1, p2, k3"
        )
    size = {name: numbers.pop(name) for name in ("width", "height") if name in numbers}
    fov = numbers.pop("fov", None)
    camera = numbers | {name: text.pop(name) for name in ("distortion",) if name in text}
    if size and len(size) < 2:
        raise UserError("width and height of the calibration belong together; give both or none")
    require_nameable(address, folder)
    return VideoSource(
        uri=checked(storage.absolute(address)),
        **text,
        intrinsics=_shared(Intrinsics(**camera)) if camera else None,  # pyright: ignore[reportArgumentType]: frozen, so hashed
        calibrated_wh=(size["width"], size["height"]) if size else None,
        fov_deg=fov,
    )


def _text(name: str, value: Any) -> str:
    text = "" if value is None else str(value)
    if len(text) > MOST_LETTERS:
        raise UserError(f"the column {name!r} holds a text of {len(text):,} letters; at most {MOST_LETTERS:,}")
    # The name of a file may begin or end with spaces; other texts, such as the name of a person, do not.
    return text if name == "uri" else text.strip()


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().casefold() in _MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_zero(value: Any) -> bool:
    try:
        return float(value) == 0
    except ValueError:
        return False


def _reason(error: ValidationError | UserError) -> str:
    if isinstance(error, UserError):
        return str(error)
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    column = _COLUMN_OF_FIELD.get(field, field)
    if first["type"] == "missing":
        return f"the column {column!r} is empty or missing; intrinsics need fx, fy, cx and cy"
    given = f"{column}={first['input']}: " if column else ""
    return given + first["msg"].removeprefix("Value error, ")


@lru_cache(maxsize=1024)
def _shared(intrinsics: Intrinsics) -> Intrinsics:
    """One object for all equal intrinsics: a million videos of a few cameras would otherwise need a gigabyte."""
    return intrinsics


def checked(uri: str) -> str:
    """The address, after checking that Arrow, JSON and the operating system can represent it.

    Raises:
        UserError: They cannot represent the address.
    """
    try:
        if b"\0" not in uri.encode():
            return uri
    except UnicodeEncodeError:
        pass
    raise UserError(f"videos: {uri!a}: the name is no text (UTF-8); rename the file")
