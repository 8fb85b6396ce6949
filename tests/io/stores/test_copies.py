"""Copies of remote videos: whole, current, fetched once, of bounded size."""

import http.server
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from cluster.store_proxy import BUCKET

from pipelines.io import storage
from pipelines.io.stores import copies
from schemas.errors import RunFailed

ROOT = Path(__file__).parents[3]


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


def test_a_local_video_is_read_where_it_lies(tmp_path, cache):
    assert storage.local_copy(f"{tmp_path}/v.mp4", 1) == tmp_path / "v.mp4"
    assert not cache.exists()


def test_a_remote_video_is_fetched_once(web, cache):
    folder, address = web
    (folder / "v.mp4").write_bytes(b"frames")
    copy = storage.local_copy(f"{address}/v.mp4", 1000)
    assert copy.read_bytes() == b"frames"
    assert not copy.suffix, "a reader must not choose by the name of somebody else's file how to read it"
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


@pytest.fixture
def video(store):
    return f"{store.protocol}://{BUCKET}/copies/v.mp4"


def is_fetch(store, method, path):
    asked = (
        f"/{BUCKET}/copies/v.mp4" if store.protocol == "s3" else f"/download/storage/v1/b/{BUCKET}/o/copies%2Fv.mp4?"
    )
    return method == "GET" and path.startswith(asked)


def fetches(store):
    """The requests for its content."""
    return [request for request in store.requests if is_fetch(store, *request)]


def test_a_changed_video_is_fetched_again_and_the_old_copy_leaves(store, video, cache, monkeypatch):
    monkeypatch.setattr(copies, "_CHECKED_EVERY_S", 0)
    storage.write_bytes(video, b"first")
    assert storage.local_copy(video, 1000).read_bytes() == b"first"
    assert storage.local_copy(video, 1000).read_bytes() == b"first"
    assert len(fetches(store)) == 1
    storage.write_bytes(video, b"other")
    copy = storage.local_copy(video, 1000)
    assert copy.read_bytes() == b"other"
    assert [path for path in (cache / "videos").iterdir() if path.suffix != ".lock"] == [copy]


def test_many_who_want_a_video_at_once_fetch_it_once(store, video, cache):
    storage.write_bytes(video, bytes(100_000))
    store.fault = lambda number, method, path: 0.2 if method == "GET" else None
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(lambda _: storage.local_copy(video, 10**6), range(8)))
    assert len(set(files)) == len(fetches(store)) == 1
    assert files[0].stat().st_size == 100_000


def test_a_download_that_breaks_off_is_gone_on_with(store, video, cache):
    content = os.urandom(300_000)
    storage.write_bytes(video, content)
    broken = iter(["short", "reset", "short"])
    store.fault = lambda number, method, path: next(broken, None) if method == "GET" else None
    assert storage.local_copy(video, 10**6).read_bytes() == content


def test_a_download_that_fails_for_good_leaves_nothing(store, video, cache):
    storage.write_bytes(video, bytes(100_000))
    store.fault = lambda number, method, path: "short" if method == "GET" else None
    with pytest.raises(RunFailed, match=video):
        storage.local_copy(video, 10**6)
    assert [path.suffix for path in (cache / "videos").iterdir()] == [".lock"]


def test_what_a_killed_process_has_fetched_half_is_never_used(store, video, cache):
    content = os.urandom(300_000)
    storage.write_bytes(video, content)
    # Of what comes in pieces, the second stops.
    whole = iter([None] if store.protocol == "gs" else [])
    store.fault = lambda number, method, path: next(whole, "stall") if is_fetch(store, method, path) else None
    code = (
        "from pipelines.io import storage; from pipelines.io.stores import gcs; gcs._PIECE_BYTES = 100_000; "
        f"storage.local_copy({video!r}, 10**6)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ)
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size for part in cache.glob(f"videos/{copies.PARTIAL}*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    store.fault = lambda number, method, path: None
    assert storage.local_copy(video, 10**6).read_bytes() == content


def test_a_video_larger_than_the_cache_is_refused_before_it_is_fetched(store, video, cache):
    storage.write_bytes(video, bytes(2000))
    with pytest.raises(OSError, match=r"2,000 bytes, the cache holds 1,000; give a larger cache \(decode.cache_gb\)"):
        storage.local_copy(video, 1000)
    assert fetches(store) == []
