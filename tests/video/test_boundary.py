"""A decoder that a hostile video has taken over: its process has no secrets, and nothing that it sends is believed."""

import fcntl
import json
import os
import pickle
import re
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import send_handle
from pathlib import Path

import pytest

from pipelines.video.confinement import environment
from pipelines.video.errors import VideoError
from pipelines.video.frames import Frames
from pipelines.video.isolated import IsolatedReader
from pipelines.video.transfer import FrameReceiver

ROOT = Path(__file__).parents[2]


class Runs:
    """Unpickles into a call that leaves a file behind."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


class ProcessOfNobody:
    """Stands in for a child that is a thread of the test."""

    def kill(self) -> None:
        pass

    def wait(self, timeout: float | None = None) -> int:
        return -9


class TakenOver(IsolatedReader):
    """A reader whose child answers with what `says` sends over its end of the connection."""

    def __init__(self, says, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.says = says

    def start(self) -> None:
        if self._process is None:
            ours, theirs = Pipe()
            threading.Thread(target=self.child, args=[theirs]).start()
            self._process, self._connection = ProcessOfNobody(), ours  # pyright: ignore[reportAttributeAccessIssue]
            self._receiver, self._ready = FrameReceiver(), True

    def child(self, end: Connection) -> None:
        with end, suppress(OSError, EOFError):
            end.recv_bytes()
            self.says(end)


def ask(says, timeout_s: float = 5.0) -> Frames:
    with TakenOver(says, timeout_s) as reader:
        return reader.read(Path("/film.mp4"), 0, 2, None)


def frames(**changes) -> bytes:
    """The answer with two frames of 2 × 2 px in a new buffer."""
    two = {"indices": "AAAAAAAAAAABAAAAAAAAAA==", "timestamps_s": "AAAAAAAAAAAAAAAAAADwPw=="}
    honest = {**two, "decoder": "pyav", "damage": None, "shape": [2, 2, 2], "buffer": 0, "fresh": True}
    return json.dumps({"error": None, "info": None, "frames": honest | changes}).encode()


def memory(size: int, sealed: bool = True) -> int:
    handle = os.memfd_create("frames", os.MFD_ALLOW_SEALING)
    os.truncate(handle, size)
    if sealed:
        fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return handle


def sends(answer: bytes, handle: int | None = None):
    def says(connection: Connection) -> None:
        connection.send_bytes(answer)
        if handle is not None:
            send_handle(connection, handle, None)

    return says


def test_an_honest_answer_is_read() -> None:
    assert ask(sends(frames(), memory(24))).images.shape == (2, 2, 2, 3)


def test_a_pickle_is_not_unpickled(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="gave no valid answer"):
        ask(lambda connection: connection.send(Runs(tmp_path / "ran")))
    assert pickle.loads(pickle.dumps(Runs(tmp_path / "ran"))) is None
    assert (tmp_path / "ran").exists(), "unpickled, it would have run"


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [2, 2000, 2000]},
        {"shape": [-2, 2, 2]},
        {"shape": [2, 2**40, 2**40]},
        {"shape": [1, 2, 2]},
        {"buffer": 7, "fresh": False},
        {"indices": "AQAAAAAAAAAAAAAAAAAAAA=="},  # 1, 0
        {"indices": "BQAAAAAAAAAGAAAAAAAAAA=="},  # 5, 6: not asked for
        {"indices": "AAAA"},
        {"decoder": "mine"},
        {"damage": "x" * 1_000_000},
    ],
)
def test_frames_that_are_not_those_asked_for(changes) -> None:
    with pytest.raises(VideoError, match="the decoder's process was ended: it"):
        ask(sends(frames(**changes), memory(24)))


def test_memory_that_could_be_taken_away_would_kill_the_worker() -> None:
    with pytest.raises(VideoError, match="sent memory that it could take away"):
        ask(sends(frames(), memory(24, sealed=False)))


def test_a_message_of_any_length_is_not_read() -> None:
    with pytest.raises(VideoError, match="crashed"):
        ask(lambda connection: os.write(connection.fileno(), b"\xff\xff\xff\xff" + b"\x7f" + b"\xff" * 7))


def test_half_a_message_ends_with_the_time_limit() -> None:
    with pytest.raises(VideoError, match=r"took longer than 0.2 s"):
        ask(lambda connection: os.write(connection.fileno(), b"\x00\x00\x01\x00abc") and connection.poll(10), 0.2)


def test_the_environment_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cret")
    assert "s3cret" not in environment().values()


def test_the_process_has_limits_and_no_way_to_privileges(make_video, tmp_path: Path) -> None:
    with IsolatedReader(60) as reader:
        reader.probe(make_video(tmp_path / "a.mp4", 2))
        assert reader._process is not None
        proc = Path(f"/proc/{reader._process.pid}")
        limits, status = (proc / "limits").read_text(), (proc / "status").read_text()
    of = {line[:25].strip(): line[25:].split()[:2] for line in limits.splitlines()}
    assert of["Max address space"] == [str(6 * 2**30)] * 2
    assert of["Max file size"] == [str(4 * 2**30)] * 2
    assert of["Max processes"] == of["Max core file size"] == ["0", "0"]
    assert "NoNewPrivs:\t1" in status


def test_films_are_opened_in_the_process_of_their_own_and_nowhere_else() -> None:
    opens = re.compile(r"pipelines\.video(\.| import )(probe|reader|container|packets|pictures|\w+_decoder)\b")
    files = [file for room in ("pipelines", "jobs", "raylift") for file in (ROOT / room).rglob("*.py")]
    assert len(files) > 300
    outside = [file for file in files if file.parent != ROOT / "pipelines" / "video"]
    assert [str(file) for file in outside if opens.search(file.read_text())] == []
