"""`raylift demo_multiview`: all steps, with two people in videos of two seconds."""

import re

import pytest

from jobs.command_line import main
from pipelines.io import json_documents
from pipelines.mlflow_runs import model_uris
from pipelines.tracks.keypoint_reader import survey

pytestmark = pytest.mark.ray

SMALL = ("labeled=1", "held_out=1", "seconds=2", "epochs=1")


def test_all_steps_run_and_the_second_run_repeats_none(embedded_ray, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main.run_job("demo_multiview", ["output=out", *SMALL]) == 0
    out = capfd.readouterr().out
    for name, title in (("before", "before: everyday"), ("after", "after: trained on the labels")):
        error = json_documents.read(f"out/{name}/metrics.json")["overall"]["metrics"]["mpjpe_mm"]
        assert re.search(rf"^{title} +{error:.1f} mm ", out, re.MULTILINE)
    labels = survey("out/triangulated/tracks")
    assert {(track.subject, track.camera, track.positions_layout) for track in labels} == {
        (subject, camera, "limbs14") for subject in ("S000", "S001") for camera in ("C0", "C1")
    }
    off = re.search(r"Labels of 2 cameras are off by (\d+) mm", out)
    assert off is not None
    assert int(off[1]) < 80
    assert str(model_uris.find_version("two-phones", alias="champion").version) in ("1", "2")

    assert main.run_job("demo_multiview", ["output=out", *SMALL]) == 0
    out = capfd.readouterr().out
    for job in ("synthesize", "label", "triangulate", "import_poses", "train"):
        assert f"{job}: nothing to do" in out
