"""Reading in a child process: what a hostile video does there stays there."""

import os
import signal
import time

import psutil
import pytest

from pipelines.video.errors import VideoError
from pipelines.video.isolated import IsolatedReader
from pipelines.video.probe import probe
from pipelines.video.reader import VideoReader


@pytest.fixture
def video(make_video, tmp_path):
    return make_video(tmp_path / "a.mp4")


@pytest.fixture
def hostile(video):
    return video.rename(video.with_name("b.mp4"))


def child_of(reader):
    return psutil.Process(reader._process.pid)


@pytest.fixture
def isolated():
    made = []

    def make(timeout_s=30.0, reader="pipelines.video.reader:VideoReader"):
        made.append(IsolatedReader(timeout_s, reader))
        return made[-1]

    yield make
    for reader in made:
        reader.close()


def test_it_reads_what_the_reader_reads(isolated, video):
    reader = isolated()
    assert reader.probe(video).frame_count == probe(video).frame_count
    with VideoReader(video, 80) as direct:
        for start in (0, 8, 30, 3):
            assert (reader.read(video, start, start + 8, 80).images == direct.read(start, start + 8).images).all()


def test_one_child_serves_all_requests(isolated, video):
    reader = isolated()
    reader.probe(video)
    child = child_of(reader)
    reader.read(video, 0, 8, None)
    assert child_of(reader) == child


def test_a_file_that_is_no_video_is_an_error_and_the_child_lives_on(isolated, video, tmp_path):
    reader = isolated()
    (tmp_path / "text.mp4").write_text("text")
    with pytest.raises(VideoError, match="not a video"):
        reader.probe(tmp_path / "text.mp4")
    child = child_of(reader)
    assert reader.probe(video).frame_count == probe(video).frame_count
    assert child_of(reader) == child


def test_a_crash_is_an_error_and_the_next_video_is_read(isolated, hostile, tmp_path):
    reader = isolated(reader="hostile:Aborts")
    with pytest.raises(VideoError, match=r"the decoder crashed \(SIGABRT\), 2 times"):
        reader.read(hostile, 0, 8, None)
    fine = hostile.rename(tmp_path / "fine.mp4")
    assert len(reader.read(fine, 0, 8, None).indices) == 8


def test_a_hang_is_an_error_and_the_next_video_is_read(isolated, hostile, tmp_path):
    reader = isolated(timeout_s=1.5, reader="hostile:Hangs")
    with pytest.raises(VideoError, match=r"decoding took longer than 1.5 s and was stopped"):
        reader.read(hostile, 0, 8, None)
    fine = hostile.rename(tmp_path / "fine.mp4")
    assert len(reader.read(fine, 0, 8, None).indices) == 8


def test_an_unforeseen_exception_is_an_error_that_names_it(isolated, hostile):
    with pytest.raises(VideoError, match=r"the decoder failed: ZeroDivisionError: by nothing"):
        isolated(reader="hostile:Raises").read(hostile, 0, 8, None)


def test_a_killed_child_is_replaced_and_nothing_is_lost(isolated, video):
    reader = isolated()
    reader.probe(video)
    child_of(reader).send_signal(signal.SIGKILL)
    assert len(reader.read(video, 0, 8, None).indices) == 8


def test_a_child_does_not_outlive_a_killed_parent(tmp_path, hostile):
    parent = os.fork()
    if parent == 0:
        reader = IsolatedReader(60, "hostile:Hangs")
        reader.probe(hostile)
        (tmp_path / "pid").write_text(str(child_of(reader).pid))
        time.sleep(60)
        os._exit(0)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert psutil.wait_procs([child], timeout=10)[1] == []
