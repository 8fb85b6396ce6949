"""Web servers that do not answer as they should: a line each, whatever asks first."""

import http.server
import socket
from collections.abc import Iterator
from threading import Thread

import pytest

from jobs.command_line.main import run_job


@pytest.fixture
def closed() -> Iterator[str]:
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def refusing() -> Iterator[str]:
    """A server that refuses everything."""

    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("field", ["tracks", "video"])
def test_a_server_that_does_not_answer(closed: str, field: str, tmp_path, capsys) -> None:
    assert run_job("lift", [f"{field}={closed}/x.mp4", f"output={tmp_path}/out"]) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("lift:"))
    assert line.startswith(f"lift: {closed}/x.mp4: cannot be read: Connect call failed")
    assert line.endswith("; check the address")
    assert not (tmp_path / "out").exists()


def test_a_server_that_refuses(refusing: str, tmp_path, capsys) -> None:
    assert run_job("label", [f"videos={refusing}/x.mp4", f"output={tmp_path}/out"]) == 2
    assert f"label: {refusing}/x.mp4: cannot be read: Forbidden; check the address" in capsys.readouterr().err
