"""What a job on a cluster prints is kept in its output, however the job ends."""

import logging
import sys

import pytest

from jobs.command_line import kept_log
from jobs.command_line.kept_log import CopyingStream, PrintedLines, keep_log
from jobs.command_line.main import run_job
from schemas.configs.import_cameras import ImportCamerasConfig
from schemas.configs.label import LabelConfig


@pytest.fixture
def submitted(monkeypatch):
    monkeypatch.setenv("RAYLIFT_SUBMITTED", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


def label(output):
    return LabelConfig.model_validate({"videos": "clips", "output": str(output)})


def kept(output):
    (file,) = (output / "logs").iterdir()
    return file.name, file.read_text().splitlines()


def test_lines_of_both_streams_are_kept_in_order(submitted, tmp_path, capsys):
    with keep_log("label", label(tmp_path)):
        print("9 videos")
        print("label: 1 failed", file=sys.stderr)
    name, lines = kept(tmp_path)
    assert name.startswith("label-2")
    assert lines == ["9 videos", "label: 1 failed"]
    assert capsys.readouterr() == ("9 videos\n", "label: 1 failed\n")


def test_a_mistake_is_kept_as_the_line_that_is_printed(submitted, tmp_path, capsys):
    output = tmp_path / "out"
    assert run_job("train", [f"labeled={tmp_path}/missing", f"output={output}"]) == 2
    printed = capsys.readouterr().err.splitlines()
    _, lines = kept(output)
    assert lines == printed
    assert "missing: no such file or folder" in lines[0]


def test_a_traceback_is_kept_without_secrets(submitted, tmp_path):
    def fail():
        with keep_log("label", label(tmp_path)):
            print("reads https://user:password1@host/a.mp4")
            raise ZeroDivisionError("of https://user:password1@host/b.mp4")

    with pytest.raises(ZeroDivisionError):
        fail()
    _, lines = kept(tmp_path)
    assert lines[0] == "reads https://…@host/a.mp4"
    assert lines[-1].startswith("ZeroDivisionError: of https://…@host")
    assert "password1" not in "\n".join(lines)


def test_a_running_job_s_log_is_written_now_and_then(submitted, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_log, "INTERVAL_S", 0.01)
    with keep_log("label", label(tmp_path)):
        print("first")
        while not (tmp_path / "logs").is_dir() or not list((tmp_path / "logs").glob("label-*.log")):
            pass
        assert kept(tmp_path)[1] == ["first"]
        print("second")
    assert kept(tmp_path)[1] == ["first", "second"]


def test_only_the_last_lines_of_a_long_log_are_kept(monkeypatch):
    monkeypatch.setattr(kept_log, "MOST_CHARACTERS", 100)
    lines = PrintedLines()
    for number in range(50):
        lines.add(f"line {number:2d}")
        lines.add("\n")
    text = lines.text().splitlines()
    assert text[0] == "…"
    assert text[1:] == [f"line {number:2d}" for number in range(50 - len(text) + 1, 50)]
    assert len(text) > 10


def test_a_log_that_cannot_be_written_is_a_warning(submitted, tmp_path, caplog):
    (tmp_path / "logs").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING), keep_log("label", label(tmp_path)):
        print("goes on")
    assert "the job's log is not kept in its output: " in caplog.text


def test_jobs_elsewhere_and_jobs_without_a_folder_keep_no_log(submitted, tmp_path, monkeypatch):
    cameras = ImportCamerasConfig.model_validate(
        {"videos": "clips", "calibration": "Calib.toml", "output": str(tmp_path / "cameras.csv")}
    )
    with keep_log("import_cameras", cameras):
        print("cameras")
    monkeypatch.delenv("RAYLIFT_SUBMITTED")
    with keep_log("label", label(tmp_path)):
        print("on a laptop")
    assert not list(tmp_path.iterdir())


def test_a_copying_stream_is_the_stream_for_whoever_asks(capsys):
    stream = CopyingStream(sys.stdout, PrintedLines())
    assert stream.write("four") == 4
    assert stream.encoding == sys.stdout.encoding
    stream.flush()
    assert capsys.readouterr().out == "four"
