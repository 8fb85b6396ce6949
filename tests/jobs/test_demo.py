"""`raylift demo`: all steps, with three people in videos of two seconds."""

import json
import re
from statistics import median

import mlflow
import pytest

from jobs.command_line import main

pytestmark = pytest.mark.ray

SMALL = ("labeled=1", "unlabeled=1", "held_out=1", "seconds=2", "views=1", "epochs=2", "channels=8")


def demo(capfd, *arguments):
    """Run the job in this process; returns (exit code, stdout)."""
    code = main.run_job("demo", ["output=out", *SMALL, *arguments])
    return code, capfd.readouterr().out


def test_all_steps_run_and_the_second_run_repeats_none(embedded_ray, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    code, out = demo(capfd)
    assert code == 0
    parts = {}
    for run in mlflow.search_runs(search_all_experiments=True, output_format="list"):
        parts.setdefault(run.data.tags.get("mlflow.parentRunId"), {})[run.info.run_id] = run.data.tags["raylift.job"]
    ((whole, job),) = parts[None].items()
    assert job == "demo", "all else is part of it"
    assert set(parts[whole].values()) == {"label", "import_poses", "compare", "register", "lift"}
    compared = json.loads((tmp_path / "out" / "training" / "comparison.json").read_text())
    for variant in ("supervised", "semi_supervised"):
        name, error = variant.replace("_", "-"), compared[f"{variant}_mpjpe_mm"]
        assert re.search(rf"^{name} +{error:.1f} mm ", out, re.MULTILINE)
    (page,) = (tmp_path / "out" / "lifted").glob("S002_*.html")
    assert f"Look at it:  out/lifted/{page.name}" in out
    assert "With unlabeled video the error is " in out
    assert "lift model=models:/demo@champion video=clip.mp4" in out

    code, out = demo(capfd)
    assert code == 0
    for job in ("synthesize", "label", "lift"):
        assert f"{job}: nothing to do" in out
    assert f"Look at it:  out/lifted/{page.name}" in out

    # The films and labels that are there already are those that this job would make.
    assert main.run_job("fit_noise", ["output=out", "detector=blazepose"]) == 0
    assert "recipe: out/recipe.yaml" in capfd.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    for part in ("shoulder", "knee"):
        quantiles = report["quantiles"][part]
        assert quantiles["made"][:3] == pytest.approx(quantiles["measured"][:3], rel=0.5)
        curve = report["variograms"][part]
        assert median(curve["estimated"]) == pytest.approx(median(curve["measured"]), rel=0.3)


def test_the_demo_writes_to_this_machine_only(capfd):
    assert main.run_job("demo", ["output=memory://demo"]) == 2
    assert "output=memory://demo: the demo writes to a folder on this machine" in capfd.readouterr().err
