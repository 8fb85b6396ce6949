"""Storage: files are whole or absent, one job writes a folder at a time, faults of a store are outlasted or told."""

import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow as pa
import pytest
from cluster.store_proxy import BUCKET, KEYS
from fsspec.registry import _registry

from jobs.command_line.main import run_job
from pipelines.io import storage
from pipelines.io.npz import read_npz
from pipelines.io.stores import policy
from pipelines.io.stores.s3 import S3Store
from pipelines.tracks.keypoint_reader import survey
from schemas.errors import RunFailed, UserError

ROOT = Path(__file__).parents[2]


def test_a_table_comes_back_with_its_metadata(tmp_path):
    table = pa.table({"a": [1, 2]}).replace_schema_metadata({b"k": b"v"})
    uri = f"{tmp_path}/new/folder/t.parquet"
    storage.write_table(uri, table)
    assert storage.read_table(uri, ["a"]).equals(table)
    assert storage.read_schema(uri).metadata == {b"k": b"v"}
    assert storage.list_folder(f"{tmp_path}/new/folder", ".parquet") == [uri]


def test_listing_and_leftovers(tmp_path):
    (tmp_path / ".tmp-1-x.parquet").write_bytes(b"half")
    (tmp_path / "x.parquet").write_bytes(b"whole")
    assert storage.list_folder(str(tmp_path), ".parquet") == [f"{tmp_path}/x.parquet"]
    storage.remove_leftovers(str(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]
    assert storage.list_folder(f"{tmp_path}/missing") == []


def test_a_full_disk_leaves_no_half_file_and_says_so(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        storage.write_bytes(f"{disk}/a", b"kept")
        with pytest.raises(RunFailed, match=r"cannot write .*/a: No space left on device; what is finished is kept"):
            storage.write_bytes(f"{disk}/a", os.urandom(100_000))
        assert [p.name for p in disk.iterdir()] == ["a"]
        assert (disk / "a").read_bytes() == b"kept"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (calls.append(os.fstat(number).st_size), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda *names: (calls.append("named"), replace(*names)))
    storage.write_bytes(f"{tmp_path}/a", b"whole")
    assert calls == [5, "named"]
    assert (tmp_path / "a").read_bytes() == b"whole"


def test_one_writer_at_a_time(tmp_path):
    out = str(tmp_path / "out")
    first = storage.sole_writer(out)
    with first, pytest.raises(UserError, match="another job is writing here"), storage.sole_writer(out):
        pass
    with storage.sole_writer(out):
        pass


def test_an_output_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    writer = storage.sole_writer(f"{tmp_path}/file/out")
    with pytest.raises(UserError, match=r"output=.*/file/out: the folder cannot be written"), writer:
        pass


@pytest.fixture
def folder(store):
    return f"{store.protocol}://{BUCKET}/storage"


@pytest.mark.parametrize("fault", ["busy", "reset", "lost", "cut", "short", 0.3])
def test_a_store_that_fails_every_other_request(store, folder, fault):
    folder += f"/{fault}"
    store.fault = lambda number, method, path: fault if number % 2 else None
    table = pa.table({"a": [1, 2]})
    for name in "ab":
        storage.write_table(f"{folder}/{name}.parquet", table)
    storage.write_bytes(f"{folder}/a.parquet", storage.read_bytes(f"{folder}/b.parquet"))
    assert storage.list_folder(folder) == [f"{folder}/a.parquet", f"{folder}/b.parquet"]
    assert storage.read_table(f"{folder}/a.parquet") == table
    storage.remove(f"{folder}/a.parquet")
    storage.remove(f"{folder}/a.parquet")
    assert (storage.exists(f"{folder}/a.parquet"), storage.exists(f"{folder}/b.parquet")) == (False, True)
    storage.remove_folder(folder)
    assert storage.list_folder(folder) == []
    assert store.done[fault] > 5


ASKED = {
    "list_folder": lambda uri: storage.list_folder(uri),
    "exists": lambda uri: storage.exists(uri),
    "read_bytes": lambda uri: storage.read_bytes(uri),
    "write_bytes": lambda uri: storage.write_bytes(uri, b"new"),
    "remove": lambda uri: storage.remove(uri),
    "sole_writer": lambda uri: storage.sole_writer(uri).__enter__(),
}


@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED)
def test_a_store_that_is_gone_is_an_error_and_never_taken_for_an_empty_one(store, folder, call):
    store.fault = lambda number, method, path: "reset"
    how = "(Connection was closed .*|Server disconnected|Connection reset by peer)"
    gone = rf"{folder}/x.*: the store at {store.address} has failed for 1 s: {how}; .* run the same command"
    with pytest.raises(RunFailed, match=gone) as error:
        call(f"{folder}/x")
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in str(error.value)
    asked = len(store.requests)
    with pytest.raises(RunFailed, match=gone):
        storage.exists(f"{folder}/y")
    assert len(store.requests) == asked, "nobody waits again for every object"


@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED)
def test_a_store_that_refuses_is_reported_at_once(store, folder, call):
    store.fault = lambda number, method, path: "refused"
    with pytest.raises(UserError, match=rf"the store at {store.address} refuses: 403 .*; see the credentials"):
        call(f"{folder}/x")
    assert len(store.requests) == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AWS_ENDPOINT_URL", "nonsense", "cannot be used: Invalid endpoint: nonsense; see AWS_"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", "127.0.0.1:1 has failed for 1 s: Could not connect"),
        ("AWS_ENDPOINT_URL", "http://me:planted-key@127.0.0.1:1", "…@127.0.0.1:1 has failed for 1 s: "),
        ("AWS_PROFILE", "missing", r"The config profile \(missing\) could not be found; see AWS_"),
    ],
)
def test_wrong_variables_are_reported_without_secrets(s3, monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises((UserError, RunFailed), match=message) as error:
        storage.read_bytes(f"s3://{BUCKET}/storage/x")
    assert "planted-key" not in str(error.value)


def test_a_job_on_a_store_that_is_gone_ends_with_one_line(store, folder, capsys):
    store.fault = lambda number, method, path: "busy"
    assert run_job("label", [f"videos={folder}/videos", f"output={folder}/out"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"label: {folder}/videos")
    assert re.search(
        "503 (SlowDown Please reduce your request rate|Service Unavailable|We encountered an .* error)", line
    )


def test_a_bucket_that_is_not_there_is_not_made(store):
    output = f"{store.protocol}://mistyped/out"
    missing = "(The specified bucket does not exist|404 Not Found)"
    for _ in range(2):
        with pytest.raises(UserError, match=f"output={output}: the folder cannot be written: {missing}"):
            storage.sole_writer(output).__enter__()
        with pytest.raises(RunFailed, match=f"cannot write {output}/x: {missing}"):
            storage.write_bytes(f"{output}/x", b"")
    assert storage.list_folder(output) == []


def test_an_upload_that_was_cut_short_shows_nothing(store, folder, monkeypatch):
    monkeypatch.setattr(policy, "_GONE_S", 0)
    storage.write_bytes(f"{folder}/cut/old", b"whole")
    store.fault = lambda number, method, path: "cut" if method == store.upload else None
    for name in ("old", "new"):
        with pytest.raises(RunFailed, match=f"{folder}/cut/{name}"):
            storage.write_bytes(f"{folder}/cut/{name}", bytes(100_000))
    assert store.done["cut"] > 1
    store.fault = lambda number, method, path: None
    assert storage.list_folder(f"{folder}/cut") == [f"{folder}/cut/old"]
    assert storage.read_bytes(f"{folder}/cut/old") == b"whole"


def test_parts_of_uploads_that_a_killed_job_left_are_unseen_and_removed_by_the_next(s3):
    uri = f"s3://{BUCKET}/storage/parts"
    fs, folder = storage.filesystem(uri)
    assert isinstance(fs, S3Store)
    for name in ("big", "inner/big"):
        key = f"{folder}/{name}".partition("/")[2]
        upload = fs.call_s3("create_multipart_upload", Bucket=BUCKET, Key=key)["UploadId"]
        fs.call_s3("upload_part", Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=1, Body=bytes(6_000_000))
    assert storage.list_folder(uri) == []
    storage.remove_leftovers(uri)
    left = fs.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads", [])
    assert [upload["Key"] for upload in left] == ["storage/parts/inner/big"], "what is deeper is another job's"


def test_what_another_process_has_written_is_seen(store, folder):
    uri = f"{folder}/fresh/a"
    storage.write_bytes(uri, b"old")
    assert (storage.list_folder(f"{folder}/fresh"), storage.read_bytes(uri)) == ([uri], b"old")
    code = (
        "from pipelines.io.storage import write_bytes\n"
        f"write_bytes({uri!r}, b'longer'); write_bytes({uri!r} + 'b', b'')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, cwd=ROOT)
    assert (storage.list_folder(f"{folder}/fresh"), storage.read_bytes(uri)) == ([uri, f"{uri}b"], b"longer")


def test_arrow_writes_where_the_variables_say(store, folder):
    fs, path = storage.arrow_filesystem(f"{folder}/arrow")
    # As it travels to Ray's workers.
    fs = pickle.loads(pickle.dumps(fs))
    fs.create_dir(path)
    with fs.open_output_stream(f"{path}/x") as file:
        file.write(b"bytes")
    assert storage.read_bytes(f"{folder}/arrow/x") == b"bytes"
    assert store.upload in [method for method, _ in store.requests]


def test_names_of_any_kind_come_back(store, folder):
    names = ["a b", "100%25", "ä/ö", "q?x=1&y", "#1", "+", "a'\"[*]"]
    for name in names:
        storage.write_bytes(f"{folder}/names/{name}", name.encode())
    assert [storage.read_bytes(f"{folder}/names/{name}").decode() for name in names] == names
    direct = [f"{folder}/names/{name}" for name in names if "/" not in name]
    assert storage.list_folder(f"{folder}/names") == sorted([*direct, f"{folder}/names/ä"])


@pytest.mark.parametrize(("protocol", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_the_extras_of_the_stores_exist(protocol, package, monkeypatch):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name in extras[protocol] if name.startswith(package)]
    # As if neither it nor who imports it had been loaded.
    for name in (package, f"{package}.core"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("s3", "gcs", "gcs_requests"):
        monkeypatch.delitem(sys.modules, f"pipelines.io.stores.{name}", raising=False)
    monkeypatch.delitem(_registry, protocol, raising=False)
    missing = rf"{protocol}://bucket/x: .*{package} is missing: install raylift\[{protocol}\]"
    with pytest.raises(UserError, match=missing):
        storage.filesystem(f"{protocol}://bucket/x")


def test_what_is_replaced_while_it_is_read_is_read_again(s3, s3_server):
    note = f"s3://{BUCKET}/replaced/note.json"
    storage.write_bytes(note, b"first")
    other = S3Store(endpoint_url=s3_server, skip_instance_cache=True)
    changes = iter([b"second", b"other!"])

    def replace(number, method, path):
        if method == "GET" and (content := next(changes, None)):
            other.pipe_file(note, content)

    s3.fault = replace
    assert storage.read_bytes(note) == b"other!"


def test_what_lies_in_place_of_a_file_and_never_ends_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.parquet")
    os.symlink("/dev/zero", tmp_path / "zero.json")
    for read, name in (
        (storage.read_bytes, "zero.json"),
        (storage.read_bytes, "pipe.parquet"),
        (storage.read_table, "pipe.parquet"),
        (storage.read_schema, "pipe.parquet"),
        (read_npz, "pipe.parquet"),
    ):
        with pytest.raises((OSError, UserError), match="is a named pipe or a device, no file"):
            read(str(tmp_path / name))
    with pytest.raises(UserError, match=r"pipe.parquet: cannot be read as a tracks file: .* no file"):
        survey(str(tmp_path))
