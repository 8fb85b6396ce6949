"""Parquet files of strangers: what would fill the memory is one line, before any of it is decoded."""

import io
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.io import storage
from pipelines.io.parquet import ParquetTable
from schemas.errors import UserError

MOST_PEAK = 100_000_000


@pytest.fixture
def peak():
    """Asks how many bytes Arrow had taken at most since the test began."""
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    yield pool.max_memory
    pa.set_memory_pool(before)


def shared_text(path: Path) -> None:
    """4 GB of text in some kilobytes: all rows have the same one."""
    shared = pa.array(["x" * 1_000_000]).dictionary_encode().take(pa.array([0] * 4000))
    pq.write_table(pa.table({"video": shared}), path)


def zeros(path: Path) -> None:
    """250 million numbers in some kilobytes."""
    row = pa.ListArray.from_arrays(pa.array([0, 10_000_000], pa.int32()), pa.array(np.zeros(10_000_000, np.float32)))
    batch = pa.record_batch({"keypoints": row})
    with pq.ParquetWriter(path, batch.schema, compression="zstd") as writer:
        for _ in range(25):
            writer.write_batch(batch)


def lying_footer(path: Path, true_count: int = 100_000, claimed: int = 50) -> None:
    """A list of 100,000 numbers, of which the footer says that they are 50."""
    file = io.BytesIO()
    row = pa.ListArray.from_arrays(pa.array([0, true_count], pa.int32()), pa.array(np.zeros(true_count, np.float32)))
    pq.write_table(pa.table({"keypoints": row}), file, compression="zstd", write_statistics=False)
    data = file.getvalue()
    start = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
    # Numbers as Thrift writes them: seven bits a byte, twice their value. A small one may be as long.
    honest = bytes([true_count * 2 & 127 | 128, true_count * 2 >> 7 & 127 | 128, true_count * 2 >> 14])
    lie = bytes([claimed * 2 & 127 | 128, claimed * 2 >> 7 | 128, 0])
    assert honest in data[start:]
    path.write_bytes(data[:start] + data[start:].replace(honest, lie))


def shared_beginnings(path: Path) -> None:
    """Texts that are stored as how many letters they share with the one before."""
    texts = ["x" * 100_000] * 1000
    encoding = {"video": "DELTA_BYTE_ARRAY"}
    pq.write_table(pa.table({"video": texts}), path, use_dictionary=False, column_encoding=encoding)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (shared_text, "would take more than 2,000 MB of memory; split it into smaller files"),
        (zeros, "would take more than 2,000 MB of memory; split it into smaller files"),
        (lying_footer, "is damaged: column keypoints.list.element holds 100,000 values, its footer says 50"),
        (shared_beginnings, "has texts as DELTA_BYTE_ARRAY; write it with PyArrow or pandas"),
    ],
)
def test_what_would_fill_the_memory_is_one_line(tmp_path, peak, make, reason):
    path = tmp_path / "part-1.parquet"
    make(path)
    assert path.stat().st_size < 1_000_000
    before = peak()
    with pytest.raises(UserError, match=f"part-1.parquet: cannot be read: {reason}; remove it and write it again"):
        storage.read_table(str(path))
    assert peak() - before < MOST_PEAK
    with suppress(UserError), storage.open_table(str(path)) as table:  # some may be read in pieces
        for _ in table.batches(0, 16, table.schema.names):
            pass
    assert peak() - before < MOST_PEAK


def _unsigned(value: int) -> bytes:
    """A count as Thrift's compact protocol writes it."""
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])


def nested(path: Path, depth: int) -> None:
    """A file without rows, whose only column lies in `depth` others."""
    within = b"\x35\x00" + b"\x18\x00" + b"\x15\x02" + b"\x00"  # required, without a name, of one child
    leaf = b"\x15\x02" + b"\x25\x00" + b"\x18\x01a" + b"\x00"
    schema = b"\x19\xfc" + _unsigned(depth + 2) + b"\x48\x01s\x15\x02\x00" + within * depth + leaf
    footer = b"\x15\x02" + schema + b"\x16\x00" + b"\x19\x0c" + b"\x00"
    path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")


@pytest.mark.parametrize("depth", [20_000, 200_000])
def test_columns_within_each_other_end_no_process(tmp_path, depth):
    path = tmp_path / "deep.parquet"
    nested(path, depth)
    for read in (storage.read_schema, storage.read_table):
        with pytest.raises(UserError, match=r"deep.parquet: cannot be read.*: has columns within each other"):
            read(str(path))
    nested(path, 50)
    assert len(storage.read_schema(str(path))) == 1
    assert len(storage.read_table(str(path))) == 0


@pytest.mark.parametrize(
    ("table", "options", "reason"),
    [
        (pa.table({f"c{n}": pa.nulls(1, pa.int8()) for n in range(10_001)}), {}, "10,001 columns"),
        (pa.table({"a": pa.nulls(10_001, pa.int8())}), {"row_group_size": 1}, "10,001 row groups"),
    ],
)
def test_more_columns_and_row_groups_than_anybody_has_are_one_line(tmp_path, table, options, reason):
    path = tmp_path / "many.parquet"
    pq.write_table(table, path, use_dictionary=False, write_statistics=False, **options)
    with pytest.raises(UserError, match=f"many.parquet: cannot be read: has {reason}, and at most 10,000 are read"):
        storage.read_table(str(path))


def test_a_damaged_footer_is_one_line(tmp_path):
    """Whatever byte of a long footer is changed: no end of the process, and no other error."""
    path = tmp_path / "wide.parquet"
    pq.write_table(pa.table({f"c{n}": pa.nulls(1, pa.int8()) for n in range(700)}), path)
    whole = path.read_bytes()
    length = struct.unpack("<I", whole[-8:-4])[0]
    assert length > 30_000
    rng = np.random.default_rng(0)
    for place in rng.integers(len(whole) - 8 - length, len(whole) - 8, 40).tolist():
        path.write_bytes(whole[:place] + bytes([rng.integers(256)]) + whole[place + 1 :])
        with suppress(UserError):
            storage.read_schema(str(path))
        with suppress(UserError):
            storage.read_table(str(path))


@pytest.mark.parametrize(
    "options",
    [
        *({}, {"compression": "zstd"}, {"compression": "none", "write_page_checksum": True}),
        *({"use_dictionary": False}, {"data_page_version": "2.0"}, {"data_page_size": 64}, {"row_group_size": 2}),
    ],
)
def test_every_type_comes_back_as_it_was_written(tmp_path, options):
    texts = pa.array(["a", None, "ä", ""])
    table = pa.table(
        {
            "text": texts,
            "large": texts.cast(pa.large_string()),
            "same": texts.dictionary_encode(),
            "bytes": texts.cast(pa.binary()),
            "lists": pa.array([["a", None], [], None, ["b"]]),
            "structs": pa.array([{"p": "q", "l": ["m"]}, None, {"p": None, "l": None}, {"p": "r", "l": []}]),
            "maps": pa.array([[("k", "v")], [], None, [("k", None)]], pa.map_(pa.string(), pa.string())),
            "deep": pa.array([[[1.0], []], [], None, [[None]]], pa.list_(pa.list_(pa.float64()))),
            "true": [True, False, None, True],
            "whole": pa.array([1, 2, None, 2**40]),
            "nothing": pa.nulls(4),
            "with.dot": texts,
        }
    ).replace_schema_metadata({b"k": b"v"})
    pq.write_table(table, tmp_path / "t.parquet", **options)
    read = storage.read_table(str(tmp_path / "t.parquet"))
    assert read.equals(table)
    assert read.schema.metadata == {b"k": b"v"}
    assert storage.read_table(str(tmp_path / "t.parquet"), ["with.dot", "lists", "no"]).to_pydict() == {
        "with.dot": texts.to_pylist(),
        "lists": table["lists"].to_pylist(),
    }
    with (tmp_path / "t.parquet").open("rb") as file:
        opened = ParquetTable(file)
        groups = range(opened.metadata.num_row_groups)
        batches = [batch for group in groups for batch in opened.batches(group, 3, ["deep", "text"])]
    assert pa.Table.from_batches(batches).to_pydict() == table.select(["deep", "text"]).to_pydict()


def test_texts_without_a_length_come_as_texts(tmp_path):
    pq.write_table(pa.table({"a": pa.array(["x", None], pa.string_view())}), tmp_path / "t.parquet")
    assert storage.read_table(str(tmp_path / "t.parquet"))["a"].to_pylist() == ["x", None]


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent / "corpus").glob("*.parquet/*")), ids=lambda file: file.name
)
def test_what_a_fuzzer_found_is_one_line_and_no_end_of_the_process(file):
    with pytest.raises(UserError, match="cannot be read"):
        storage.read_table(str(file))


class Counting(io.BytesIO):
    """A file whose reads are counted, as each is a request to an object store."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


def test_several_row_groups_are_fetched_once():
    file = Counting()
    numbers = np.random.default_rng(0).integers(0, 2**60, 40_000)
    pq.write_table(pa.table({"a": numbers, "b": numbers.astype(str)}), file, row_group_size=10_000)
    size = len(file.getvalue())
    table = ParquetTable(file)
    file.read_bytes = 0
    assert table.read()["a"].to_pylist() == numbers.tolist()
    assert file.read_bytes < 1.1 * size
