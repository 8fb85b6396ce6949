"""The recipe human36m_tune through every stage, from files in Human3.6M's format, at the size of a toy."""

import json

import mlflow
import numpy as np
import pytest
import yaml
from datasets.pose_files import COCO_SYMMETRY, noise, save_npz

from jobs.command_line.main import run_job

SUBJECTS = ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
SMALL = (
    *(
        "lifter.filter_widths=[3]",
        "optimization.epochs=3",
        "asha.grace_epochs=1",
        "trials=3",
        "resources.use_gpu=false",
    ),
    *("search_space.lifter.channels={choice: [8, 16]}", "search_space.optimization.batch_size={choice: [64, 128]}"),
)


@pytest.fixture
def files(tmp_path):
    """Motions and what CPN has seen of them, of all subjects with labels."""
    motions = {subject: {"Walking": noise(12, 32, 3, seed=seed)} for seed, subject in enumerate(SUBJECTS)}
    images = {
        subject: {"Walking": [500 + 100 * noise(12, 17, 2, seed=10 * seed + camera) for camera in range(4)]}
        for seed, subject in enumerate(SUBJECTS)
    }
    metadata = {"num_joints": 17, "keypoints_symmetry": COCO_SYMMETRY}
    return (
        save_npz(tmp_path / "data_3d_h36m.npz", positions_3d=motions),
        save_npz(tmp_path / "data_2d_h36m_cpn_ft_h36m_dbb.npz", positions_2d=images, metadata=metadata),
    )


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(600)
def test_import_search_train_evaluate_and_register(files, tmp_path, embedded_ray, own_tracking_store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    positions, keypoints = files
    source = ("source=human36m", f"source.positions={positions}", f"source.keypoints={keypoints}", "source.check=false")
    assert run_job("import_poses", [*source, "output=out/h36m_cpn"]) == 0
    labeled = "labeled=out/h36m_cpn/tracks"
    assert run_job("tune", ["human36m_tune", labeled, "output=out/human36m_tune", *SMALL]) == 0
    report = json.loads((tmp_path / "out/human36m_tune/report.json").read_text())
    assert [trial["state"] in ("finished", "stopped") for trial in report["trials"]] == [True] * 3
    best = yaml.safe_load((tmp_path / "out/human36m_tune/best.yaml").read_text())
    assert (best["data"]["subjects"], best["data"]["validation_subjects"]) == (["S1", "S5", "S6", "S7"], ["S8"])

    # As the recipe says: all of them are trained on, and the test subjects are scored.
    everyone = ("data.subjects=[S1,S5,S6,S7,S8]", "data.validation_subjects=[]")
    assert run_job("train", ["out/human36m_tune/best.yaml", "output=out/lifter", *everyone]) == 0
    scored = ["model=out/lifter/best.pt", "data=out/h36m_cpn/tracks", "subjects=[S9,S11]", "output=out/scores"]
    assert run_job("evaluate", scored) == 0
    metrics = json.loads((tmp_path / "out/scores/metrics.json").read_text())
    assert np.isfinite(metrics["average"]["metrics"]["mpjpe_mm"])
    assert run_job("register", ["model=out/lifter/best.pt", "name=human36m"]) == 0
    assert int(mlflow.MlflowClient().get_model_version_by_alias("human36m", "candidate").version) == 1
