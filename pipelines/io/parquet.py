"""Reads Parquet files of unknown origin, whose need of memory is known before they are decoded.

A few hundred bytes may decode to gigabytes: one value that a dictionary repeats, zeros, or texts that share their
beginning. The counts in the file's footer are not trusted: those in the headers of the pages are added up, and
texts stay entries of a dictionary until their lengths are added up.
"""

import io
from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.io.parquet_footer import require_countable, require_readable
from pipelines.io.parquet_page_headers import read_header
from schemas.errors import UserError

# One call decodes at most this many bytes; a day of one person at 30 frames/s has 1.2 GB.
MOST_BYTES = 2 * 10**9
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "BYTE_ARRAY": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXTS = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
# From parquet.thrift: the kinds of pages, the fields of their headers, and an encoding whose decoded size is unknown
# before decoding.
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_DELTA_BYTE_ARRAY = 7


class ParquetTable:
    """An open Parquet file of which no call decodes more than `MOST_BYTES`.

    Args:
        file: It, open for reading; stays open as long as this is used.
        most_text: Bytes of texts that one call, or one batch, may return.

    Attributes:
        metadata: What its footer says.
        schema: Its columns, as they are returned.

    Raises:
        pa.ArrowInvalid: The file is not a Parquet file, or has too many columns or row groups.
    """

    def __init__(self, file: BinaryIO, most_text: int = MOST_BYTES) -> None:
        require_readable(file)
        self._in_memory, self._most_text = _FileInMemory(file), most_text
        with _damage():
            self.metadata: pq.FileMetaData = pq.read_metadata(self._in_memory)
            require_countable(self.metadata)
            self._leaves = [self.metadata.schema.column(place) for place in range(self.metadata.num_columns)]
            texts = [leaf.path for leaf in self._leaves if leaf.physical_type == "BYTE_ARRAY"]
            self._file = pq.ParquetFile(self._in_memory, metadata=self.metadata, read_dictionary=texts)
            stored = self.metadata.schema.to_arrow_schema()
            plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
            self.schema: pa.Schema = pa.schema(
                [field.with_type(plain.get(field.type, field.type)) for field in stored], stored.metadata
            )

    def read(self, columns: Sequence[str] | None = None, threads: bool = True) -> pa.Table:
        """Those of some columns that the file has, for all rows; all columns if none are given.

        Raises:
            pa.ArrowInvalid: The columns would take too much memory, or the file is damaged.
        """
        names = self.schema.names if columns is None else list(columns)
        groups, taken = range(self.metadata.num_row_groups), 0
        self._in_memory.forget()
        for group in groups:
            taken += self._hold(group, names)
            _require(taken)
        tables = []
        # Row groups are read one at a time, because Arrow cannot join lists of dictionaries.
        for group in groups:
            with _damage():
                table = self._file.read_row_group(group, names, use_threads=threads)
            taken += _texts_of(table)
            _require(taken)
            tables.append(self._plain(table))
        return pa.concat_tables(tables) if tables else self._schema_of(names).empty_table()

    def batches(self, group: int, rows: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of a row group, a number of rows at a time.

        Raises:
            pa.ArrowInvalid: The columns would take too much memory, or the file is damaged.
        """
        self._in_memory.forget()
        self._hold(group, columns)
        with _damage():
            for batch in self._file.iter_batches(rows, row_groups=[group], columns=list(columns)):
                table = pa.Table.from_batches([batch])
                _require(_texts_of(table), self._most_text)
                yield from self._plain(table).to_batches()

    def _plain(self, table: pa.Table) -> pa.Table:
        """The table with dictionary-encoded texts converted to plain ones."""
        return table.cast(self._schema_of(table.column_names))

    def _schema_of(self, names: Sequence[str]) -> pa.Schema:
        fields = [self.schema.field(name) for name in names if name in self.schema.names]
        return pa.schema(fields, self.schema.metadata)

    def _places(self, columns: Sequence[str]) -> list[int]:
        """The indices of the physical columns that Arrow reads for these columns."""
        return [
            place
            for place, leaf in enumerate(self._leaves)
            if any(leaf.path == name or leaf.path.startswith(f"{name}.") for name in columns)
        ]

    def _each(self, place: int) -> int:
        """Bytes of a value of a column: the value, two levels of two bytes, and an offset for each list around it."""
        leaf = self._leaves[place]
        return (_WIDTHS.get(leaf.physical_type) or leaf.length) + 4 + 4 * leaf.max_repetition_level

    def _hold(self, group: int, columns: Sequence[str]) -> int:
        """Read the columns of a row group, still compressed, and count their decoded bytes without texts."""
        rows, taken = self.metadata.row_group(group), 0
        places = self._places(columns) if rows.num_rows else []
        if places:
            # Opening the columns decodes nothing. Damaged metadata are an error here; below, they would crash the
            # process.
            with _damage():
                next(
                    self._file.reader.iter_batches(0, row_groups=[group], column_indices=places, use_threads=False),
                    None,
                )
        for place in places:
            chunk = rows.column(place)
            _require(self._in_memory.size + chunk.total_compressed_size)
            data = self._in_memory.hold(_start(chunk), chunk.total_compressed_size)
            taken += self._taken(data, place, chunk.num_values, rows.num_rows)
            _require(taken)
        return taken

    def _taken(self, data: bytes, place: int, claimed: int, rows: int) -> int:
        """Decoded bytes of a column's part in a row group, without those of its texts."""
        leaf = self._leaves[place]
        values = entries = at = largest = 0
        total = 0
        while at < len(data):
            header, at = read_header(data, at)
            size, kind = _whole(header, 2), _whole(header, 1)
            total, largest = total + size, max(largest, size)
            at += max(0, _whole(header, 3))
            if kind == _DICTIONARY:
                entries += max(0, _whole(header.get(7), 1))
            elif kind in (_DATA, _DATA_2):
                data_header = header.get(5 if kind == _DATA else 8)
                if _whole(data_header, 2 if kind == _DATA else 4) == _DELTA_BYTE_ARRAY:
                    raise pa.ArrowInvalid("has texts as DELTA_BYTE_ARRAY; write it with PyArrow or pandas")
                values += max(0, _whole(data_header, 1))
        if values != claimed or values < rows or at != len(data):
            raise pa.ArrowInvalid(
                f"is damaged: column {leaf.path} holds {values:,} values, its footer says {claimed:,}"
            )
        kept = total if leaf.physical_type == "BYTE_ARRAY" else largest
        return values * self._each(place) + entries * (self._each(place) + 16) + kept


@contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[ParquetTable]:
    """The table of an open file; error messages name the file.

    Raises:
        UserError: The file is not Parquet, is damaged, or would take more memory than `MOST_BYTES`.
    """
    try:
        yield ParquetTable(file)
    except pa.ArrowException as error:
        raise UserError(f"{name}: cannot be read: {_one_line(error)}; remove it and write it again") from error


def schema_of(file: BinaryIO, name: str, noun: str, fix: str) -> pa.Schema:
    """The schema of an open file; error messages name the file, say what it should hold (`noun`), and end with `fix`.

    Raises:
        UserError: The file is not Parquet, or is damaged.
    """
    try:
        with _damage():
            require_readable(file)
            return pq.read_schema(file)
    except pa.ArrowException as error:
        raise UserError(f"{name}: cannot be read as a {noun} file: {_one_line(error)}; {fix}") from error


class _FileInMemory(io.RawIOBase):
    """A file of which byte ranges are held in memory: they are fetched once, counted, and then decoded."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0
        self._stretches: dict[int, bytes] = {}
        self._starts: list[int] = []
        self._length = file.seek(0, io.SEEK_END)

    def hold(self, start: int, length: int) -> bytes:
        """Read a byte range and keep it."""
        if start < 0 or length < 0 or start + length > self._length:
            raise pa.ArrowInvalid("is damaged: its footer names bytes that it does not have")
        return self._fetched(start, length)

    @property
    def size(self) -> int:
        """Number of bytes that are kept."""
        return sum(map(len, self._stretches.values()))

    def forget(self) -> None:
        """Drop all byte ranges that are kept."""
        self._stretches.clear()
        self._starts.clear()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = self._fetched(self._at, self._length - self._at if size < 0 else size)
        self._at += len(data)
        return data

    def _fetched(self, start: int, length: int) -> bytes:
        """A byte range, of the last held one that begins before it if that has it: Arrow asks for columns together."""
        place = bisect_right(self._starts, start) - 1
        if place >= 0:
            first = self._starts[place]
            data = self._stretches[first][start - first : start - first + length]
            if len(data) == length:
                return data
        self._file.seek(start)
        data = self._file.read(length)
        if start not in self._stretches:
            insort(self._starts, start)
        self._stretches[start] = data
        return data


@contextmanager
def _damage() -> Iterator[None]:
    """Turn PyArrow's errors about damaged bytes and names into one kind; those of the store, with an errno, pass."""
    try:
        yield
    except (OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise pa.ArrowInvalid(str(error)) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _require(taken: int, most: int = MOST_BYTES) -> None:
    if taken > most:
        raise pa.ArrowInvalid(f"would take more than {most / 1e6:,.0f} MB of memory; split it into smaller files")


def _whole(header: object, field: int) -> int:
    """A number in a header; -1 if there is none."""
    value = header.get(field) if isinstance(header, dict) else None
    return value if isinstance(value, int) else -1


def _start(chunk: pq.ColumnChunkMetaData) -> int:
    dictionary = chunk.dictionary_page_offset if chunk.has_dictionary_page else None
    return min(dictionary, chunk.data_page_offset) if dictionary else chunk.data_page_offset


def _texts_of(table: pa.Table) -> int:
    return sum(_text_bytes(chunk) for column in table.columns for chunk in column.chunks)


def _text_bytes(array: pa.Array) -> int:
    """Bytes of an array's texts if each value has its own copy."""
    if isinstance(array, pa.DictionaryArray):
        if array.dictionary.type not in _TEXTS:
            return 0
        lengths = pc.call_function("binary_length", [array.dictionary])
        return pc.call_function("sum", [lengths.cast(pa.int64()).take(array.indices)]).as_py() or 0
    if isinstance(array, pa.MapArray):
        return _text_bytes(array.keys) + _text_bytes(array.items)
    if pa.types.is_struct(array.type):
        return sum(_text_bytes(child) for child in cast(pa.StructArray, array).flatten())
    if pa.types.is_nested(array.type):
        return _text_bytes(cast(pa.ListArray, array).flatten())
    return 0
