"""Storage: files are whole or absent, one job writes a folder at a time, remote videos pass a bounded cache."""

import http.server
import os
import subprocess
import threading
from functools import partial

import pyarrow as pa
import pytest

from pipelines import storage
from schemas.errors import RunFailed, UserError


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def web(tmp_path):
    """A folder served over HTTP on loopback; yields (folder, address)."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


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


def test_a_local_video_is_read_where_it_lies(tmp_path, cache):
    assert storage.local_copy(f"{tmp_path}/v.mp4", 1) == tmp_path / "v.mp4"
    assert not cache.exists()


def test_a_remote_video_is_fetched_once(web, cache):
    folder, address = web
    (folder / "v.mp4").write_bytes(b"frames")
    copy = storage.local_copy(f"{address}/v.mp4", 1000)
    assert copy.read_bytes() == b"frames"
    assert copy.suffix == ".mp4"
    (folder / "v.mp4").unlink()
    assert storage.local_copy(f"{address}/v.mp4", 1000) == copy


def test_the_cache_makes_room_by_least_recent_use(web, cache):
    folder, address = web
    copies = []
    for number, name in enumerate("abc"):
        (folder / name).write_bytes(bytes(100))
        copies.append(storage.local_copy(f"{address}/{name}", 250))
        os.utime(copies[-1], (number, number))
    assert [copy.exists() for copy in copies] == [False, True, True]


def test_a_remote_video_that_is_not_there_is_an_os_error(web, cache):
    with pytest.raises(OSError, match=r"missing.mp4"):
        storage.local_copy(f"{web[1]}/missing.mp4", 1000)
