"""Videos that cannot be had: the reason in words, and what is the store's fault and not the video's."""

import http.server
import threading

import pytest
from cluster.store_proxy import BUCKET

from pipelines.io import storage
from pipelines.video.errors import VideoError
from pipelines.video.fetch import fetch_video
from schemas.errors import RunFailed

CACHE_BYTES = 10**6
VIDEO = f"s3://{BUCKET}/fetched/v.mp4"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAYLIFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def web():
    """A server that answers with the status in the path, and breaks off its answers to /cut.mp4; yields its address."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path[1:].partition(".")[0]
            self.send_response(200 if name == "cut" else int(name))
            self.send_header("Content-Length", "1000")
            self.end_headers()
            if name == "cut":
                self.wfile.write(bytes(100))

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def why(uri, cache_bytes=CACHE_BYTES):
    """Why a video cannot be had."""
    with pytest.raises(VideoError) as error:
        fetch_video(uri, cache_bytes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_local_videos_are_not_copied(tmp_path):
    assert fetch_video(f"{tmp_path}/v.mp4", 1) == tmp_path / "v.mp4"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("404.mp4", "not found (404)"),
        ("410.mp4", "not found (410)"),
        ("403.mp4?signature=planted", "cannot be read: the server answers 403 Forbidden"),
        ("503.mp4", "cannot be read: the server answers 503 Service Unavailable"),
    ],
)
def test_what_a_server_of_the_web_answers_is_reported_in_words(web, name, reason):
    assert why(f"{web}/{name}") == reason


def test_an_answer_that_breaks_off_is_reported(web):
    assert why(f"{web}/cut.mp4").startswith("cannot be read: Response payload is not completed")


def test_a_server_that_nobody_reaches_is_reported(web, free_address):
    assert why(f"{free_address}/v.mp4") == "cannot be reached: Connection refused"


@pytest.fixture
def free_address():
    """An address where nobody is."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.server_close()
    return f"http://127.0.0.1:{server.server_port}"


def test_a_video_missing_from_a_bucket_refused_or_too_large_is_that_video_s_failure(s3):
    assert why(VIDEO) == "not found"
    storage.write_bytes(VIDEO, bytes(2000))
    assert why(VIDEO, 1000) == "2,000 bytes, the cache holds 1,000; give a larger cache (decode.cache_gb)"
    s3.fault = lambda number, method, path: "refused"
    assert why(VIDEO) == f"the store at {s3.address} refuses: 403 Forbidden; see the credentials"


def test_a_video_whose_answers_break_off_is_that_video_s_failure(s3):
    storage.write_bytes(VIDEO, bytes(100_000))
    s3.fault = lambda number, method, path: "short" if method == "GET" else None
    assert "broke off" in why(VIDEO)


def test_a_store_that_is_gone_is_no_video_s_failure(s3):
    storage.write_bytes(VIDEO, bytes(100_000))
    s3.close()
    for _ in range(2):
        with pytest.raises(RunFailed, match=r"has failed for 1 s: .*; what is finished is kept, run the same command"):
            fetch_video(VIDEO, CACHE_BYTES)
