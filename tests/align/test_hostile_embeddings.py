"""Embeddings that somebody else wrote: other columns, lengths and bytes are one line."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.align.features import Features, read_corpus
from schemas import FORMAT_KEY, WEIGHTS_KEY
from schemas.errors import UserError
from schemas.formats.embeddings import EMBEDDINGS, FORMAT

ROW = {"track_id": "a", "video": "v", "frames": 2, "times_s": [0.0, 0.1], "vectors": [1.0, 2.0, 3.0, 4.0]}
CHANGES = [
    {"frames": -1},
    {"frames": 3},
    {"frames": 2**62},
    {"times_s": []},
    {"vectors": []},
    {"vectors": None},
    {"frames": 10**9, "times_s": []},
    # A frame of another aligner's size.
    {"vectors": [1.0, 2.0]},
]


def write(folder, changes, columns=EMBEDDINGS.names):
    schema = pa.schema([EMBEDDINGS.field(name).with_nullable(True) for name in columns])
    row = {name: value for name, value in (ROW | changes).items() if name in columns}
    row |= {"vectors": None if row.get("vectors") is None else np.array(row["vectors"], np.float16)}
    rows = [{name: row.get(name) for name in columns}]
    metadata = {FORMAT_KEY: FORMAT.encode(), WEIGHTS_KEY: b"0"}
    (folder / "embeddings").mkdir(exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=schema.with_metadata(metadata))
    pq.write_table(table, folder / "embeddings/part-1.parquet")


@pytest.fixture
def features():
    return Features(sha256="0", dimensions=2)


def test_honest_embeddings_are_read(tmp_path, features):
    write(tmp_path, {})
    (embeddings,) = read_corpus(str(tmp_path), features)
    assert (embeddings.track_id, embeddings.vectors.tolist()) == ("a", [[1, 2], [3, 4]])


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_values_that_do_not_fit_are_one_line(tmp_path, features, changes):
    write(tmp_path, changes)
    with pytest.raises(UserError, match=r"embeddings/part-1\.parquet: is damaged") as error:
        list(read_corpus(str(tmp_path), features))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("column", ["track_id", "frames", "times_s", "vectors"])
def test_a_lacking_column_is_one_line(tmp_path, features, column):
    write(tmp_path, {}, [name for name in EMBEDDINGS.names if name != column])
    with pytest.raises(UserError, match=f"lacks the column '{column}'; embed it again"):
        list(read_corpus(str(tmp_path), features))


def test_bytes_that_are_no_parquet_are_one_line(tmp_path, features):
    write(tmp_path, {})
    (tmp_path / "embeddings/part-1.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match=r"part-1\.parquet: cannot be read"):
        list(read_corpus(str(tmp_path), features))
