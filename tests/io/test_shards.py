"""Shards say what their rows depend on, replace each other when written again, and are refused if they do not fit."""

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.io import shard_builder, storage
from pipelines.io.shard_builder import ShardBuilder
from pipelines.io.shards import FAILED, FINISHED, ShardKind, digest, is_failed, shard_metadata, weights_and_layout
from schemas import FORMAT_KEY, LAYOUT_KEY, SETTINGS_KEY, VERSION_KEY, WEIGHTS_KEY, __version__
from schemas.errors import RunFailed, UserError

SCHEMA = pa.schema([("clip_id", pa.string()), ("frames", pa.int64()), ("error", pa.string())])
KIND = ShardKind("raylift.test/1", SCHEMA, "clip_id")
SETTINGS = {"detector": "blazepose", "clip_frames": 32}


def batch(*rows, **columns):
    """Rows (clip, frames, error) as a running job has them."""
    clips, frames, errors = zip(*rows, strict=True)
    values = {"clip_id": clips, "frames": frames, "error": pa.array(errors, pa.string())}
    shared = {"weights_sha256": ["w"] * len(rows), "layout": ["coco17"] * len(rows)}
    return pa.table({**{name: pa.array(value) for name, value in (values | shared).items()}, **columns})


def read(folder, columns=("clip_id", "frames", "error"), **options):
    """All rows, by the kind of shard that they are in."""
    rows = {FINISHED: [], FAILED: []}
    for file, table in KIND.read(str(folder), columns, **options):
        assert table.column_names == list(columns)
        rows[FAILED if is_failed(file) else FINISHED] += table.to_pylist()
    return rows


def test_finished_and_failed_rows_are_in_shards_of_their_own(tmp_path):
    KIND.write(str(tmp_path), batch(("a", 3, None), ("b", 0, "no video"), ("c", 5, None)), SETTINGS)
    finished = [{"clip_id": "a", "frames": 3, "error": None}, {"clip_id": "c", "frames": 5, "error": None}]
    failed = [{"clip_id": "b", "frames": 0, "error": "no video"}]
    assert read(tmp_path, settings=SETTINGS) == {FINISHED: finished, FAILED: failed}
    names = sorted(os.listdir(tmp_path))
    assert names == sorted([f"part-{digest(['a', 'c'])}.parquet", f"errors-{digest(['b'])}.parquet"])


def test_a_shard_says_what_it_is(tmp_path):
    KIND.write(str(tmp_path), batch(("a", 3, None)), {"b": 1, "a": [2.5, None]})
    (file,) = tmp_path.iterdir()
    metadata = pq.read_schema(file).metadata
    assert metadata == {
        **{FORMAT_KEY: b"raylift.test/1", VERSION_KEY: __version__.encode(), LAYOUT_KEY: b"coco17"},
        **{SETTINGS_KEY: b'{"a": [2.5, null], "b": 1}', WEIGHTS_KEY: b"w"},
    }
    assert weights_and_layout(storage.read_table(str(file))) == ("w", "coco17")
    assert weights_and_layout(pa.table({"a": [1]})) == (None, None)


def test_without_rows_of_a_kind_there_is_no_shard(tmp_path):
    KIND.write(str(tmp_path), batch(("b", 0, "no video")), SETTINGS)
    assert [name[:7] for name in os.listdir(tmp_path)] == ["errors-"]
    KIND.write_part(str(tmp_path), FINISHED, SCHEMA.empty_table())
    assert len(os.listdir(tmp_path)) == 1


@given(order=st.permutations(["a", "b", "c", "d"]), failed=st.sets(st.sampled_from("abcd")))
@settings(max_examples=20, deadline=None)
def test_the_same_rows_in_any_order_are_the_same_shards(order, failed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for clips in (sorted(order), order):
        KIND.write(str(folder), batch(*((clip, 1, "bad" if clip in failed else None) for clip in clips)), SETTINGS)
    rows = read(folder)
    assert sorted(row["clip_id"] for row in rows[FAILED]) == sorted(failed)
    assert sorted(row["clip_id"] for row in rows[FINISHED]) == sorted(set(order) - failed)


def test_shards_of_other_settings_or_another_format_are_refused(tmp_path):
    KIND.write(str(tmp_path), batch(("a", 3, None)), SETTINGS)
    with pytest.raises(UserError, match=rf"output={tmp_path}: was begun with clip_frames=32, now clip_frames=16"):
        read(tmp_path, settings=SETTINGS | {"clip_frames": 16})
    later = ShardKind("raylift.test/2", SCHEMA, "clip_id")
    with pytest.raises(UserError, match=r"has format 'raylift\.test/1', this version writes 'raylift\.test/2'"):
        list(later.read(str(tmp_path), ["clip_id"], SETTINGS))
    # Who only counts does not ask what they were made with.
    assert len(list(later.read(str(tmp_path), ["clip_id"]))) == 1


def test_a_column_of_a_later_version_is_null_and_one_of_another_kind_is_refused(tmp_path):
    metadata = shard_metadata(KIND.format, SETTINGS, "coco17")
    old = pa.table({"frames": [3], "clip_id": ["a"]}).replace_schema_metadata(metadata)
    KIND.write_part(str(tmp_path), FINISHED, old)
    assert read(tmp_path, ("error", "clip_id")) == {FINISHED: [{"error": None, "clip_id": "a"}], FAILED: []}
    wrong = pa.table({"frames": ["three"], "clip_id": ["b"]}).replace_schema_metadata(metadata)
    KIND.write_part(str(tmp_path), FINISHED, wrong)
    with pytest.raises(UserError, match="holds string in the column 'frames', where int64 belongs; remove it and run"):
        read(tmp_path)


def test_known_shards_are_left_out(tmp_path):
    for clip in "ab":
        KIND.write(str(tmp_path), batch((clip, 1, None)), SETTINGS)
    first, second = (file for file, _ in KIND.read(str(tmp_path), ["clip_id"]))
    assert [file for file, _ in KIND.read(str(tmp_path), ["clip_id"], known={first})] == [second]


def test_more_shards_than_are_read_ahead_come_each_once(tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.io.shards._AHEAD", 2)
    for clip in "abcde":
        KIND.write(str(tmp_path), batch((clip, 1, None)), SETTINGS)
    assert sorted(row["clip_id"] for row in read(tmp_path)[FINISHED]) == list("abcde")


def marked(**values):
    """A batch of three clips, with what ends the job."""
    columns = {name: values.get(name, [None] * 3) for name in ("user_error", "run_failed")}
    rows = [("a", 1, None), ("b", 1, None), ("c", 1, None)]
    return batch(*rows, **{name: pa.array(column, pa.string()) for name, column in columns.items()})


@pytest.mark.parametrize("name", ["user_error", "run_failed"])
def test_rows_that_end_the_job_are_not_written_and_the_others_are(name, tmp_path):
    given = marked(**{name: [None, "it ends", None]})
    table = KIND.write_or_mark(str(tmp_path), given, SETTINGS, ["clip_id", "run_failed"])
    assert table.equals(given.select(["clip_id", "run_failed"]))
    assert [row["clip_id"] for row in read(tmp_path)[FINISHED]] == ["a", "c"]


def test_a_batch_that_only_ends_the_job_is_not_written(tmp_path):
    given = marked(user_error=["it ends"] * 3)
    assert KIND.write_or_mark(str(tmp_path), given, SETTINGS, ["run_failed"]).column_names == ["run_failed"]
    assert list(tmp_path.iterdir()) == []


def test_a_failure_to_write_is_marked_on_every_row(tmp_path, monkeypatch):
    def full(*_):
        raise RunFailed("no space left")

    monkeypatch.setattr(storage, "write_table", full)
    table = KIND.write_or_mark(str(tmp_path), marked(), SETTINGS, ["run_failed", "clip_id"])
    assert table.to_pydict() == {"run_failed": ["no space left"] * 3, "clip_id": ["a", "b", "c"]}


def test_digests_do_not_depend_on_the_order_of_keys():
    # Addresses of shards that are already stored depend on it.
    assert digest(["a", "b"]) == "3554d2b8a1e34099053865de8576d146"
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 1, "b": 2})


TRACKS = pa.schema([("track_id", pa.string()), ("keypoints", pa.list_(pa.float32()))])


def row(name, numbers=4):
    return {"track_id": name, "keypoints": np.arange(numbers, dtype=np.float32)}


def build(folder, *rows, settings=SETTINGS, format="raylift.tracks/9", ids=None, part=FINISHED):
    """Write a shard of tracks; returns its builder and address."""
    builder = ShardBuilder(TRACKS, format, "coco17", settings)
    for each in rows:
        builder.add(each)
    return builder, builder.write(str(folder), part, ids or builder.track_ids)


@pytest.mark.parametrize(("group_bytes", "groups"), [(32, [2, 1, 2, 1]), (33, [3, 3])])
def test_a_shard_is_built_row_by_row_in_groups(group_bytes, groups, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_builder, "GROUP_BYTES", group_bytes)
    builder, address = build(tmp_path, *(row(name, 8 if name == "c" else 4) for name in "abcdef"))
    assert (builder.track_ids, builder.bytes) == (list("abcdef"), 5 * 16 + 32)
    file = pq.ParquetFile(address)
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == groups
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    table = storage.read_table(address)
    assert table["track_id"].to_pylist() == list("abcdef")
    assert table["keypoints"].to_pylist()[2] == list(range(8))
    assert json.loads(table.schema.metadata[SETTINGS_KEY]) == SETTINGS
    assert (table.schema.metadata[FORMAT_KEY], table.schema.metadata[LAYOUT_KEY]) == (b"raylift.tracks/9", b"coco17")


def test_its_name_is_of_its_part_format_settings_and_ids(tmp_path):
    _, address = build(tmp_path, row("a"), row("b"))
    assert build(tmp_path, row("a", 9), row("b"))[1] == address, "written again, it replaces itself"
    assert len(list(tmp_path.iterdir())) == 1
    others = [
        build(tmp_path, row("a"), row("b"), settings=SETTINGS | {"clip_frames": 16})[1],
        build(tmp_path, row("a"), row("b"), format="raylift.tracks/8")[1],
        build(tmp_path, row("a"), row("b"), ids=["b", "a"])[1],
        build(tmp_path, row("a"), row("b"), part=FAILED)[1],
    ]
    assert len({address, *others}) == 5
    assert [is_failed(each) for each in others] == [False, False, False, True]
    assert address.rpartition("/")[2].startswith("part-")


def test_a_shard_without_rows_has_its_columns(tmp_path):
    _, address = build(tmp_path, ids=["nobody"])
    assert storage.read_table(address).column_names == ["track_id", "keypoints"]
