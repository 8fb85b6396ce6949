"""Every shipped recipe: its fields exist, its header's command is right, and it trains on data of its format."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from train.training_samples import person, write

from jobs.arguments import read_config
from jobs.cli import job_names, run_job
from pipelines.train.data import load_data, plan_data
from pipelines.train.loop import Training
from pipelines.train.worker_group import WorkerGroup
from schemas.compare import CompareConfig
from schemas.errors import UserError
from schemas.train import TrainConfig

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "jobs" / "recipes").glob("*.yaml"))
TRAINING = [recipe for recipe in RECIPES if "jobs.train" in recipe.read_text()]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_header_says_how_to_run_it_and_what_to_expect(recipe):
    header = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    (command,) = [line for line in header if "python -m jobs." in line and ".yaml" in line]
    assert command.split("python -m jobs.")[1].split()[0] in job_names()
    assert f"jobs/recipes/{recipe.name}" in command
    assert any("Expected: " in line for line in header)


@pytest.mark.parametrize("recipe", TRAINING, ids=lambda path: path.stem)
def test_training_recipes_train_a_step_on_tiny_data(recipe, tmp_path):
    values = yaml.safe_load(recipe.read_text())
    names = values["data"]["subjects"] + values["data"].get("unlabeled_subjects", [])
    actions = values["data"].get("actions", ["Walking"])
    people = [
        person(f"{name} {action}", 400, subject=name, action=f"{action} 1") for name in names for action in actions
    ]
    tracks = write(tmp_path / "tracks", *people)
    unlabeled = [f"unlabeled={tracks}"] if "unlabeled_subjects" in values["data"] else []
    small = ["lifter.channels=8", "optimization.epochs=1", "objective.warmup_epochs=0"]
    config = read_config(TrainConfig, [str(recipe), f"labeled={tracks}", f"output={tmp_path}", *unlabeled, *small])
    workers = WorkerGroup(torch.device("cpu"))
    plan = plan_data(config)
    assert len(plan.training) == len(values["data"]["subjects"]) * len(actions)
    training = Training(config, plan, load_data(config, plan, workers), workers)
    labeled, free = training._batches(0, 0)
    assert training._step(labeled, free)["total"].isfinite()
    assert (free is not None) == bool(unlabeled)
    # A three-frame filter after another: the recipe's name says how far they see.
    frames = [int(part) for part in recipe.stem.split("_") if part in ("27", "81", "243")]
    assert plan.shape.receptive_field in (frames or [9, 27])


def test_the_comparison_recipe_keeps_its_test_apart():
    recipe = str(ROOT / "jobs" / "recipes" / "cmu_semi.yaml")
    config = read_config(CompareConfig, [recipe, "mocap=a.npz", "output=o"])
    assert config.test_subjects == ("S01", "S07", "S61", "S38")
    with pytest.raises(UserError, match=r"S60 is in data\.subjects too"):
        read_config(CompareConfig, [recipe, "mocap=a.npz", "output=o", "test_subjects=[S60]"])
    with pytest.raises(UserError, match="one of them"):
        read_config(CompareConfig, [recipe, "output=o"])


@pytest.fixture(scope="module")
def human36m(tmp_path_factory):
    """Tracks imported from a tiny file of Human3.6M's own format."""
    folder = tmp_path_factory.mktemp("human36m")
    random = np.random.default_rng(0)
    motions = {
        subject: {"Walking 1": random.uniform((-0.5, -0.5, 0), (0.5, 0.5, 1.7), (12, 32, 3)).astype(np.float32)}
        for subject in ("S1", "S5", "S6", "S7", "S8")
    }
    np.savez(folder / "data_3d_h36m.npz", positions_3d=np.array(motions, dtype=object))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        fields = [f"source.positions={folder}/data_3d_h36m.npz", f"output={folder}/out"]
        assert run_job("import_poses", ["source=human36m", *fields]) == 0
    return f"{folder}/out/tracks"


@pytest.mark.parametrize("recipe", [r for r in TRAINING if "human36m" in r.stem], ids=lambda path: path.stem)
def test_human36m_recipes_take_what_its_import_gives(recipe, human36m, tmp_path):
    unlabeled = [f"unlabeled={human36m}"] if "unlabeled_subjects" in recipe.read_text() else []
    small = ["data.subset=1", "lifter.channels=8"]
    config = read_config(TrainConfig, [str(recipe), f"labeled={human36m}", f"output={tmp_path}", *unlabeled, *small])
    plan = plan_data(config)
    assert (plan.fps, plan.input_layout.name) == (50, "h36m17")
    assert len(plan.training) % 4 == 0, "four cameras"
    assert len(load_data(config, plan, WorkerGroup(torch.device("cpu"))).labeled) == 12 * len(plan.training)
