"""The compare job as a user runs it, on a little made-up motion."""

import json

import mlflow
import numpy as np
import pytest
from datasets.moving_people import walking

from jobs import compare
from jobs.command_line.arguments import read_config
from jobs.command_line.main import run_job
from schemas.configs.compare import CompareConfig
from schemas.errors import UserError


@pytest.fixture
def mocap(tmp_path):
    """Three people who walk, of different sizes and speeds."""
    sizes = {"labeled": (1.0, 1), "unlabeled": (0.92, 2), "test": (1.06, 3)}
    people = {name: {"walk": size * walking(80, step)} for name, (size, step) in sizes.items()}
    np.savez(tmp_path / "mocap.npz", positions_3d=np.array(people, dtype=object))
    return tmp_path / "mocap.npz"


@pytest.mark.ray
def test_both_lifters_are_trained_and_scored_on_the_same_test(embedded_ray, mocap, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = [
        *(f"mocap={mocap}", f"output={output}", "test_subjects=[test]", "data.subjects=[labeled]"),
        *("data.unlabeled_subjects=[unlabeled]", "filming.views=2", "lifter.filter_widths=[3,3]"),
        *("lifter.channels=16", "optimization.epochs=2", "optimization.batch_size=64", "resources.cpus_per_worker=1"),
    ]
    assert run_job("compare", arguments) == 0
    comparison = json.loads((output / "comparison.json").read_text())
    first, second = comparison["supervised_mpjpe_mm"], comparison["semi_supervised_mpjpe_mm"]
    assert 0 < second != first > 0
    assert comparison["gain_percent"] == pytest.approx(100 * (1 - second / first))
    for variant, value in (("supervised", first), ("semi_supervised", second)):
        metrics = json.loads((output / variant / "test" / "metrics.json").read_text())
        assert metrics["data"]["subjects"] == ["test"]
        assert metrics["overall"]["metrics"]["mpjpe_mm"] == value
    out = capsys.readouterr().out
    assert "semi-supervised" in out
    assert "Unlabeled tracks change the error on test by" in out
    recorded = mlflow.search_runs(search_all_experiments=True, output_format="list")
    (whole,) = [run for run in recorded if run.data.tags["raylift.job"] == "compare"]
    assert [whole.data.metrics[f"{variant}/mpjpe_mm"] for variant in ("supervised", "semi_supervised")] == [
        first,
        second,
    ]
    parts = [run for run in recorded if run.data.tags.get("mlflow.parentRunId") == whole.info.run_id]
    assert sorted(run.data.tags["raylift.job"] for run in parts) == ["evaluate"] * 2 + ["import_poses"] + ["train"] * 2
    names = {run.info.run_name for run in parts}
    assert {
        f"{job} {variant}" for job in ("train", "evaluate") for variant in ("supervised", "semi_supervised")
    } < names
    # Again: the trainings are kept.
    assert run_job("compare", arguments) == 0
    assert capsys.readouterr().out.count("nothing to do") == 3


def test_motion_capture_that_is_not_there_is_named_with_the_field_of_compare(tmp_path, own_tracking_store):
    given = [f"mocap={tmp_path}/source.npz", f"output={tmp_path}/out", "test_subjects=[C]"]
    chosen = ["data.subjects=[A]", "data.validation_subjects=[]", "data.unlabeled_subjects=[B]"]
    with pytest.raises(UserError, match=rf"^mocap={tmp_path}/source.npz: "):
        compare.main(read_config(CompareConfig, [*given, *chosen]))
