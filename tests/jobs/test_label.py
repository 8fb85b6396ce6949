"""`raylift label` as a user meets it: one clear line, the right exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow_store import own_artifacts

from jobs.command_line import main

ROOT = Path(__file__).parents[2]
DETECTOR = "detector=bright_spot:BrightSpot"


def raylift(capfd, *arguments):
    """Run a job in this process; returns (exit code, stdout, stderr)."""
    code = main.run_job("label", arguments)
    out, err = capfd.readouterr()
    return code, out, err


def test_raylift_and_python_m_run_the_same_job():
    console_script = Path(sys.executable).with_name("raylift")
    first = subprocess.run([console_script, "label", "--help"], capture_output=True, text=True, check=True, cwd="/")
    second = subprocess.run(
        [sys.executable, "-m", "jobs.label", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert first.stdout == second.stdout
    assert "videos=" in first.stdout


def test_a_closed_pipe_is_not_an_error():
    command = f"{sys.executable} -m jobs.label --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 141)
    assert done.stderr == ""


def test_the_list_of_jobs_names_each_with_a_summary(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["raylift", "--help"])
    assert main.main() == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("label", "synthesize", "fetch_weights", "demo"))
    monkeypatch.setattr(sys, "argv", ["raylift", "lable"])
    assert main.main() == 2
    assert "there is no job 'lable'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["videos=missing", "output=o"], "label: videos=missing: there is no such file or folder\n"),
        (["videos=empty", "output=o"], "label: videos=empty: the folder holds no videos"),
        (["videos=m.csv", "output=o"], "label: videos=m.csv: a manifest needs the column 'uri'"),
        (["videos=v.mp4", "output=o", "max_fail=1"], "label: max_fail=1: there is no such field; did you mean"),
        (["videos=v.mp4", "output=v.mp4/o"], "label: output=v.mp4/o: the folder cannot be written"),
        (["videos=v.mp4"], "label: output: is required; give output=…"),
    ],
)  # fmt: skip
def test_a_wrong_command_is_one_clear_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "m.csv").write_text("path\nv.mp4\n")
    (tmp_path / "v.mp4").write_bytes(b"x")
    code, _, err = raylift(capfd, *arguments, DETECTOR)
    assert code == 2
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "o").exists(), "nothing is written before the command is known to be right"


@pytest.mark.ray
def test_failures_decide_the_exit_code_and_are_listed(embedded_ray, make_video, tmp_path, capfd):
    make_video(tmp_path / "v" / "good.mp4")
    (tmp_path / "v" / "bad.mp4").write_text("not a video")
    arguments = [f"videos={tmp_path}/v", f"output={tmp_path}/out", DETECTOR]
    code, out, err = raylift(capfd, *arguments)
    assert code == 1
    assert "bad.mp4: " in out
    assert "Traceback" not in out + err
    assert "2, 1 failed" in out
    assert raylift(capfd, *arguments, "max_failed=1")[0] == 0
    assert raylift(capfd, *arguments, "max_failed=null")[0] == 0


@pytest.mark.ray
def test_a_video_too_slow_to_be_tracked_says_so(embedded_ray, make_video, tmp_path, capfd):
    make_video(tmp_path / "slow.mp4", frames=6, fps=1)
    code, out, _ = raylift(capfd, f"videos={tmp_path}/slow.mp4", f"output={tmp_path}/out", DETECTOR)
    assert code == 0
    assert "6 detections in frames → 0 tracks" in out
    assert "slow.mp4: 1 frames/s: further apart than link.max_gap_s=0.7, so nobody is tracked; give link" in out


@pytest.mark.ray
def test_the_job_is_an_mlflow_run(embedded_ray, make_video, tmp_path, capfd):
    import mlflow

    make_video(tmp_path / "v.mp4")
    code, out, _ = raylift(capfd, f"videos={tmp_path}/v.mp4", f"output={tmp_path}/out", DETECTOR)
    assert code == 0
    assert "40 detections in frames → 1 tracks" in out
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    (run,) = mlflow.MlflowClient().search_runs(
        [e.experiment_id for e in mlflow.search_experiments()], order_by=["start_time DESC"], max_results=1
    )
    assert run.info.status == "FINISHED"
    assert run.data.params["detector.name"] == "bright_spot:BrightSpot"
    assert run.data.params["decode.max_side"] == "640"
    assert run.data.metrics["frames"] == 40
    assert run.data.metrics["run/frames_per_s"] > 0
    assert len(run.data.tags["raylift.digest"]) == 32
    assert "40 of 40 decoded frames have people" in (tmp_path / "out" / "report.html").read_text()
    assert own_artifacts(run.info.run_id) == ["report.html", "report.json"]
    code, out, _ = raylift(capfd, f"videos={tmp_path}/v.mp4", f"output={tmp_path}/out", DETECTOR)
    assert (code, out) == (0, f"label: nothing to do: all 1 videos are labeled in {tmp_path}/out\n")


def test_weights_are_fetched_by_the_name_of_their_detector(tmp_path, capfd):
    assert main.run_job("fetch_weights", ["blazepose", f"into={tmp_path}/weights"]) == 0
    assert f"blazepose: weights are in {tmp_path}/weights" in capfd.readouterr().out
    assert len(list((tmp_path / "weights").glob("*.tflite"))) == 2
    assert main.run_job("fetch_weights", ["bright_spot:BrightSpot"]) == 2
    assert "has no weights to download" in capfd.readouterr().err
