"""Every shipped recipe: its fields exist, its header's command is right, and it trains on data of its format."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from evaluate_detector.annotated_samples import coco_set, mpii_set
from mlflow_store import new_store
from train.training_samples import person, write

from jobs.command_line.arguments import plugin_config, read_config
from jobs.command_line.job_list import job_names
from jobs.command_line.main import run_job
from pipelines.evaluate_detector.plan import plan
from pipelines.search.conditions import outside
from pipelines.search.samplers import Sampler
from pipelines.search.space import search_space
from pipelines.search.trial_values import own_values, trial_config
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.train_detector.loop import learning_rate
from pipelines.training.worker_group import WorkerGroup
from schemas.configs.compare import CompareConfig
from schemas.configs.evaluate_detector import EvaluateDetectorConfig
from schemas.configs.train import TrainConfig
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.configs.tune import TuneConfig
from schemas.errors import UserError

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "jobs" / "recipes").glob("*.yaml"))
DETECTORS = [recipe for recipe in RECIPES if "raylift train_detector " in recipe.read_text()]
SEARCHES = [recipe for recipe in RECIPES if "raylift tune " in recipe.read_text()]
# Without those that are only given beside another one.
TRAINING = [recipe for recipe in RECIPES if all(part in recipe.read_text() for part in ("raylift train ", "\nlifter:"))]

# What each was published with: AP on COCO val2017, PCKh@0.5 on MPII.
PUBLISHED = {
    "coco_hrnet_w32": 74.4,
    "coco_hrnet_w48_384": 76.3,
    "coco_vitpose_b": 75.8,
    "coco_vitpose_h": 79.1,
    "mpii_hrnet_w32": 90.3,
}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_first_comment_of_a_recipe_says_how_to_run_it_and_what_to_expect(recipe):
    header = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    (command,) = [line for line in header if "raylift " in line and recipe.stem in line.split("output=")[0].split()]
    assert command.split("raylift ")[1].split()[0] in job_names()
    assert any("Expected: " in line for line in header)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_files_of_others_that_a_recipe_names_have_a_source(recipe):
    header = "\n".join(line for line in recipe.read_text().splitlines() if line.startswith("#"))
    files = re.findall(r"[\w.-]+\.(?:npz|pth|mat)\b|(?:coco|mpii)/[\w/]+(?:\.json)?|\bCOCO_\w+\.json", header)
    page = (ROOT / "docs" / "data.md").read_text("utf-8")
    assert [file for file in files if file not in page and Path(file).name not in page] == []
    assert not files or "docs/data.md" in header


@pytest.mark.parametrize("recipe", TRAINING, ids=lambda path: path.stem)
def test_training_recipes_train_a_step_on_tiny_data(recipe, tmp_path):
    values = yaml.safe_load(recipe.read_text())
    subjects, held_out = values["data"].get("subjects", ["S1", "S2"]), values["data"].get("validation_subjects", [])
    names = {*subjects, *held_out, *values["data"].get("unlabeled_subjects", [])}
    actions = values["data"].get("actions", ["Walking"])
    people = [
        person(f"{name} {action}", 400, subject=name, action=f"{action} 1") for name in names for action in actions
    ]
    tracks = write(tmp_path / "tracks", *people)
    unlabeled = [f"unlabeled={tracks}"] if "unlabeled_subjects" in values["data"] else []
    channels = "lifter.inner.channels=8" if "inner" in values["lifter"] else "lifter.channels=8"
    small = ["optimization.batch_size=64", channels, "optimization.epochs=1", "objective.warmup_epochs=0"]
    config = read_config(TrainConfig, [str(recipe), f"labeled={tracks}", f"output={tmp_path}", *unlabeled, *small])
    workers = WorkerGroup(torch.device("cpu"))
    plan = plan_training(config)
    assert len(plan.training) == len(subjects) * len(actions)
    training = LifterTraining(config, plan, load_data(config, plan, workers), workers)
    labeled, free = next(training._batches(0))
    assert training._step((labeled, free))["total"].isfinite()
    assert (free is not None) == bool(unlabeled)
    # A three-frame filter after another: the recipe's name says how far they see.
    frames = [int(part) for part in recipe.stem.split("_") if part in ("27", "81", "243")]
    assert plan.shape.window.inputs in (frames or [1, 9, 27])


@pytest.mark.parametrize("recipe", DETECTORS, ids=lambda path: path.stem)
def test_detector_recipes_name_sources_and_their_options(recipe):
    command = recipe.read_text().split("raylift train_detector ")[1].split("\n#\n")[0]
    config = read_config(TrainDetectorConfig, command.replace("\\\n#", "").split())
    optimization = config.optimization
    assert config.validation is not None
    if optimization.epochs == 210:
        rates = [learning_rate(epoch, optimization) for epoch in (169, 170, 199, 200)]
        assert rates == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5])


# People for a recipe that leaves them to its user.
MISSING = {"subjects": ("S1", "S5"), "validation_subjects": ("S8",)}


@pytest.mark.parametrize("recipe", SEARCHES, ids=lambda path: path.stem)
def test_what_search_recipes_propose_trains_a_step(recipe, tmp_path):
    tracks = f"{tmp_path}/tracks"
    config = read_config(TuneConfig, [str(recipe), f"labeled={tracks}", f"unlabeled={tracks}", f"output={tmp_path}"])
    data = config.data if config.data.validation_subjects else config.data.model_copy(update=MISSING)
    config = config.model_copy(update={"data": data})
    parts = (data.subjects, data.unlabeled_subjects, data.validation_subjects, config.test_subjects)
    named = {name for part in parts for name in part or ()}
    write(tmp_path / "tracks", *(person(f"{name} 1", 400, subject=name) for name in sorted(named)))
    space = search_space(config, plugin_config)
    sampler = Sampler(config, space)
    assert not outside(space, own_values(config, space)), "the first trial is the recipe itself"
    trials = [trial_config(config, sampler.propose(number), str(tmp_path)) for number in range(1, 6)]
    trial = min(trials, key=lambda trial: trial.lifter.options["channels"])
    plan, workers = plan_training(trial), WorkerGroup(torch.device("cpu"))
    assert plan.validation
    assert plan.shape.window.inputs == 27
    training = LifterTraining(trial, plan, load_data(trial, plan, workers), workers)
    labeled, _ = next(training._batches(0))
    assert training._step((labeled, None))["total"].isfinite()


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
        patch.setenv("MLFLOW_TRACKING_URI", new_store(folder))
        fields = [f"source.positions={folder}/data_3d_h36m.npz", "source.check=false", f"output={folder}/out"]
        assert run_job("import_poses", ["source=human36m", *fields]) == 0
    return f"{folder}/out/tracks"


@pytest.mark.parametrize("recipe", [r for r in TRAINING if "human36m" in r.stem], ids=lambda path: path.stem)
def test_human36m_recipes_take_what_its_import_gives(recipe, human36m, tmp_path):
    unlabeled = [f"unlabeled={human36m}"] if "unlabeled_subjects" in recipe.read_text() else []
    small = ["data.subset=1", "lifter.channels=8"]
    config = read_config(TrainConfig, [str(recipe), f"labeled={human36m}", f"output={tmp_path}", *unlabeled, *small])
    plan = plan_training(config)
    assert (plan.fps, plan.input_layout.name) == (50, "h36m17")
    assert len(plan.training) % 4 == 0, "four cameras"
    labeled = load_data(config, plan, WorkerGroup(torch.device("cpu"))).labeled
    samples = sum(len(labeled.batch(0, step)) for step in range(labeled.steps_per_epoch))
    assert samples == 2 * 12 * len(plan.training), "each frame as it is and mirrored"


def test_every_evaluation_of_a_detector_has_its_published_number():
    assert {r.stem for r in RECIPES if "raylift evaluate_detector" in r.read_text()} == PUBLISHED.keys()


@pytest.mark.parametrize(("name", "score"), PUBLISHED.items())
def test_detector_recipes_plan_the_published_protocol(name, score, tmp_path):
    recipe = ROOT / "jobs" / "recipes" / f"{name}.yaml"
    assert f"Expected: {'AP' if 'coco' in name else 'PCKh@0.5'} {score}" in recipe.read_text()
    fields = [f"images={tmp_path}/images", f"output={tmp_path}/out", "detector.weights=random:0"]
    if "coco" in name:
        people = coco_set(tmp_path)["annotations"]
        boxes = [
            {key: person[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9} for person in people
        ]
        (tmp_path / "boxes.json").write_text(json.dumps(boxes))
        fields += [f"annotations={tmp_path}/people.json", f"boxes={tmp_path}/boxes.json"]
    else:
        mpii_set(tmp_path)
        fields += [f"annotations={tmp_path}/valid.json"]
    planned = plan(read_config(EvaluateDetectorConfig, [str(recipe), *fields]))
    settings = planned.settings
    assert (settings["detector.flip"], planned.boxes_given, len(planned.tasks) > 4) == (True, True, True)
    expected = ("udp", None) if "vitpose" in name else ("quarter", "384x288" if "384" in name else "256x192")
    if "mpii" in name:
        expected = ("quarter", "256x256")
    assert (settings["detector.decode"], settings["detector.input_size"]) == expected
    assert settings["detector.precision"] == "float32"
