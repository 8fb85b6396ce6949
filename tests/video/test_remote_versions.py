"""Stores and web servers are asked which version of a video they hold, as its folder's listing would say it."""

import functools
import http.server
import logging
import os
import threading
from contextlib import contextmanager

import pyarrow as pa
import pytest
from cluster.store_proxy import BUCKET
from ports import free_port
from video.video_samples import write_video

from pipelines.io import storage
from pipelines.label.plan import PlanClips
from pipelines.label.video_sources import find_videos
from pipelines.video.isolated import READER
from pipelines.video.remote_versions import GONE, version_now, versions_now
from schemas.configs.label import DecodeConfig

LOCAL = ("127.0.0.1",)


@contextmanager
def served(folder):
    """A web server of a folder; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_film_of_a_web_server_that_was_replaced_is_another_version_and_one_that_is_gone_is_gone(tmp_path):
    film = tmp_path / "a.mp4"
    with served(tmp_path) as address:
        versions = []
        for content, time in ((b"one", 1), (b"two", 2)):
            film.write_bytes(content)
            os.utime(film, (time, time))
            versions += [version_now(f"{address}/a.mp4", LOCAL) for _ in range(2)]
        film.unlink()
        assert versions_now([f"{address}/a.mp4"], LOCAL) == {f"{address}/a.mp4": GONE}
    assert versions[0] == versions[1] != versions[2] == versions[3]
    assert None not in versions


def test_videos_of_a_host_that_does_not_answer_are_unknown_and_told_once(caplog):
    port = free_port()
    uris = [f"http://127.0.0.1:{port}/{number}.mp4" for number in range(9)]
    with caplog.at_level(logging.WARNING, "pipelines"):
        assert versions_now(uris, LOCAL) == {}
    [line] = caplog.messages
    assert line.startswith("9 labeled videos count as unchanged, because nobody says what they are now, such as ")


def test_machines_of_the_local_network_are_not_asked_for_what_data_name(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    with served(tmp_path) as address:
        assert version_now(f"{address}/a.mp4", ()) is None


@pytest.mark.parametrize("films", [1, 12])
def test_a_store_says_the_same_when_it_is_asked_as_in_its_listing(store, films):
    folder = f"{store.protocol}://{BUCKET}/asked{films}"
    for number in range(films):
        storage.write_bytes(f"{folder}/{number}.mp4", str(number).encode())
    listed = {source.uri: source.version for source in find_videos(folder)}
    absent = f"{folder}/none.mp4"
    assert versions_now([*listed, absent], ()) == listed | {absent: GONE}
    assert None not in listed.values()


def test_the_plan_of_a_film_of_a_web_server_has_its_version(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))
    write_video(tmp_path / "a.mp4", 10)
    with served(tmp_path) as address:
        [source] = find_videos(f"{address}/a.mp4")
        plan = PlanClips(DecodeConfig(), READER, LOCAL)
        [clips] = plan(pa.table({"source": [source.model_dump_json()], "done": pa.array([None], pa.list_(pa.int32()))}))
        assert clips["version"].to_pylist() == [version_now(source.uri, LOCAL)] != [None]
