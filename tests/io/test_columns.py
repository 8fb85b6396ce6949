"""Columns of files of others: what means the same is taken, anything else is named."""

import pyarrow as pa
import pytest

from pipelines.io.columns import document_of, misfit, text_of
from schemas.errors import UserError

NAMED = pa.struct([("x", pa.float64()), ("name", pa.string())])


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (pa.int32(), pa.int64()),
        (pa.uint8(), pa.int64()),
        (pa.float16(), pa.float64()),
        (pa.int64(), pa.float32()),
        (pa.large_string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.null(), pa.string()),
        (pa.null(), NAMED),
        (pa.large_list(pa.float64()), pa.list_(pa.float32())),
        (pa.list_(pa.int8(), 4), pa.list_(pa.float32())),
        (pa.struct([("name", pa.large_string())]), NAMED),
        (pa.struct([("name", pa.string()), ("x", pa.int8()), ("more", pa.bool_())]), NAMED),
        (pa.bool_(), pa.bool_()),
    ],
    ids=str,
)
def test_what_means_the_same_is_taken(actual, expected):
    assert misfit(pa.schema([("a", actual)]), pa.schema([("a", expected)])) is None


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (pa.float64(), pa.int64()),
        (pa.string(), pa.int64()),
        (pa.string(), pa.float64()),
        (pa.binary(), pa.string()),
        (pa.dictionary(pa.int8(), pa.int64()), pa.string()),
        (pa.float64(), pa.list_(pa.float32())),
        (pa.list_(pa.string()), pa.list_(pa.float32())),
        (pa.list_(pa.float64()), NAMED),
        (pa.struct([("x", pa.string())]), NAMED),
        (pa.struct([("x", pa.float64()), ("x", pa.float64())]), NAMED),
        (pa.int8(), pa.bool_()),
    ],
    ids=str,
)
def test_what_means_something_else_is_named(actual, expected):
    message = misfit(pa.schema([("a", actual)]), pa.schema([("a", expected)]))
    assert message == f"holds {actual} in the column 'a', where {expected} belongs"


def test_columns_that_are_lacking_or_twice_are_named():
    expected = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    assert misfit(pa.schema([("a", pa.int64())]), expected) is None
    assert misfit(pa.schema([("a", pa.int64())]), expected, ["a", "b"]) == "lacks the column 'b'"
    assert misfit(pa.schema([("a", pa.int64()), ("a", pa.int64())]), expected) == "has the column 'a' twice"
    assert misfit(pa.schema([("a", pa.int64()), ("b", pa.int64()), ("c", pa.string())]), expected) is None


def test_texts_of_metadata_are_short_and_drive_no_terminal():
    assert text_of(None, b"k") == text_of({}, b"k") == "unknown"
    assert text_of({}, b"k", "") == ""
    assert text_of({b"k": b"\x1b[2J\xff"}, b"k") == "\\x1b[2J\N{REPLACEMENT CHARACTER}"
    assert text_of({b"k": b"a" * 2000}, b"k") == "a" * 1000


@pytest.mark.parametrize("metadata", [None, {}, {b"k": b"no"}, {b"k": b"[1]"}, {b"k": b"[" * 10**5}], ids=range(5))
def test_a_file_that_does_not_say_what_it_is_of_is_damaged(metadata):
    with pytest.raises(UserError, match=r"a\.parquet: is damaged: it does not say what it was made with"):
        document_of("a.parquet", metadata, b"k")


def test_a_document_is_read():
    assert document_of("a.parquet", {b"k": b'{"a": [1]}'}, b"k") == {"a": [1]}
