"""Trainings are checked before anything starts."""

import json

import pytest
import torch
from evaluate_detector.annotated_samples import coco_set, mpii_set

from jobs.command_line.arguments import read_config
from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.train_detector.plan import plan_training, training_order
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.errors import UserError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    coco_set(folder / "coco")
    coco_set(folder / "other", seed=1)
    mpii_set(folder / "mpii")
    torch.manual_seed(0)
    card = DetectorCard(detector="hrnet", channels=4, layout="coco17", input_size="128x96", sigma=3)
    save_detector(str(folder / "best.pt"), HrnetNetwork(4, 17), card)
    return folder


def source(field, folder, name="coco", file="people.json"):
    return [f"{field}={name}", f"{field}.annotations={folder}/{file}", f"{field}.images={folder}/images"]


def read(files, *more, data="coco"):
    return read_config(TrainDetectorConfig, [*source("data", files / data), f"output={files}/out", *more])


def refused(files, *more):
    with pytest.raises(UserError) as error:
        plan_training(read(files, *more))
    return str(error.value)


def test_the_net_is_hrnet_w32_by_default(files):
    plan = plan_training(read(files))
    assert (plan.net.channels, plan.net.input_size, plan.net.sigma) == (32, "256x192", 2)
    assert plan.layout.name == "coco17"
    assert sum(part.images for part in plan.training) == 6
    assert plan_training(read(files, "network.input_size=384x288")).net.sigma == 3


def test_weights_say_what_the_net_is(files):
    plan = plan_training(read(files, f"weights={files}/best.pt"))
    assert (plan.net.channels, plan.net.input_size, plan.net.sigma) == (4, "128x96", 3)
    assert not plan.fresh_head
    larger = plan_training(read(files, f"weights={files}/best.pt", "network.input_size=256x192"))
    assert larger.net.input_size == "256x192", "the network takes any size"


def test_weights_of_another_net_are_refused(files):
    message = refused(files, f"weights={files}/best.pt", "network.channels=8")
    assert "network.channels=8" in message
    assert "best.pt has 4" in message


def test_weights_of_other_joints_begin_with_another_last_layer(files):
    mpii = [*source("data", files / "mpii", "mpii", "valid.json"), f"output={files}/out", f"weights={files}/best.pt"]
    plan = plan_training(read_config(TrainDetectorConfig, mpii))
    assert plan.layout.name == "mpii16"
    assert plan.fresh_head


def test_nobody_is_both_trained_and_validated_on(files):
    assert "what is trained on" in refused(files, *source("validation", files / "coco"))
    plan = plan_training(read(files, *source("validation", files / "other")))
    assert sum(part.images for part in plan.validation) == 6


def test_validation_has_the_same_joints(files):
    message = refused(files, *source("validation", files / "mpii", "mpii", "valid.json"))
    assert message == "validation: its joints are mpii16, those of data coco17; give the same"


def test_nobody_to_learn_from_is_reported(files, tmp_path):
    document = json.loads((files / "coco" / "people.json").read_text())
    (tmp_path / "people.json").write_text(json.dumps(document | {"annotations": []}))
    message = refused(files, f"data.annotations={tmp_path}/people.json")
    assert "people.json" in message
    assert "nobody" in message


def test_mistakes_in_options_are_reported_together(files):
    with pytest.raises(UserError) as error:
        read(files, "network.input_size=250x192", "data.annotation=x", "optimization.decay_at=[2]")
    lines = str(error.value).splitlines()
    assert any("network.input_size" in line and "multiples of 32" in line for line in lines)
    assert any("data.annotation" in line for line in lines)
    assert any("optimization.decay_at" in line for line in lines)


def test_other_people_or_weights_are_another_training(files):
    first, again = plan_training(read(files)), plan_training(read(files))
    assert first.digest == again.digest
    assert first.digest != plan_training(read(files, data="other")).digest
    assert first.digest != plan_training(read(files, f"weights={files}/best.pt", "network.input_size=256x192")).digest


def test_more_workers_than_people_are_refused(files):
    config = read(files, "resources.num_workers=4", "optimization.batch_size=2")
    with pytest.raises(UserError, match="num_workers=4"):
        training_order(config, 6)
