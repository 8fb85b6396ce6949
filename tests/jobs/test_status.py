"""`raylift status` as a user meets it."""

import json

import pytest
from label.detection_samples import clip, sources, write_shard

from jobs.command_line import main
from pipelines.label.job import Job
from pipelines.label.ledger import read_ledger
from pipelines.label.status import write_manifest
from schemas.configs.label import LabelConfig


def raylift(capfd, *arguments):
    code = main.run_job("status", arguments)
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def half(tmp_path):
    """Two of three videos begun, one of them damaged."""
    job = Job(LabelConfig(videos="videos", output=str(tmp_path)), sources("a", "b", "c"), str(tmp_path), {})
    write_manifest(job, read_ledger(job.detections, None))
    write_shard(tmp_path / "detections", [clip("a", 0, 1), clip("b\x1b[31m", 0, 2, error="moov atom not found")])
    return tmp_path


def test_the_state_of_a_running_job_fits_a_screen(half, capfd):
    code, out, err = raylift(capfd, f"output={half}")
    assert (code, err) == (0, "")
    assert out.startswith("state    labeling, last written ")
    assert "1 of 3 finished, 0 in progress, 1 failed" in out
    assert "4 in 1 clips" in out
    assert "not linked since: 0 in 0 files" in out
    assert "1 × moov atom not found: b" in out
    assert "\x1b" not in out


def test_the_same_as_json(half, capfd):
    code, out, _ = raylift(capfd, f"output={half}", "json=true")
    result = json.loads(out)
    assert code == 0
    assert (result["format"], result["state"], result["videos"]["planned"]) == ("raylift.status/1", "working", 3)
    assert result["failures"][0]["reason"] == "moov atom not found"


def test_a_folder_without_an_output_of_a_job_is_an_error(tmp_path, capfd):
    assert raylift(capfd, f"output={tmp_path}/missing")[::2] == (
        2,
        f"status: output={tmp_path}/missing: there is no such folder\n",
    )
    code, _, err = raylift(capfd, f"output={tmp_path}")
    assert code == 2
    assert "holds no output of a job, or the job has not written anything yet" in err


@pytest.mark.parametrize(
    ("name", "form", "line"),
    [
        ("report.json", "raylift.training/1", "train: finished, according to report.json of 2"),
        ("run.json", "raylift.training/1", "train: begun, not finished, according to run.json of 2"),
        ("search.json", "raylift.search/1", "tune: begun, not finished"),
        ("report.json", "raylift.lift/1", "lift: finished"),
        ("metrics.json", "raylift.metrics/1", "evaluate: finished"),
        ("comparison.json", "raylift.comparison/1", "compare: finished"),
    ],
)
def test_outputs_of_other_jobs_say_whose_they_are(name, form, line, tmp_path, capfd):
    (tmp_path / name).write_text(json.dumps({"format": form}))
    code, out, _ = raylift(capfd, f"output={tmp_path}")
    assert code == 0
    assert out.startswith(line)


def test_the_difference_to_submit_status_is_in_the_help(capfd):
    out = raylift(capfd, "--help")[1]
    assert "json=<bool>" in out
    assert "raylift submit status ID" in out
