"""A detector that is scored on the people on whom it was trained is said to be."""

import pytest
from evaluate_detector.annotated_samples import coco_set, mpii_set
from torch import nn

from jobs.command_line.arguments import read_config
from pipelines.annotations.coco import read_coco
from pipelines.annotations.mpii import read_mpii
from pipelines.detectors.card import save_detector
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.evaluate_detector.trained_on import notes_of_training
from pipelines.train_detector import run
from schemas.configs.train_detector import TrainDetectorConfig
from schemas.job_config import PluginConfig

FILES = {"coco": "people.json", "other": "people.json", "mpii": "valid.json"}
NET = ("network.channels=4", "network.input_size=64x64")


@pytest.fixture
def folder(tmp_path):
    coco_set(tmp_path / "coco")
    coco_set(tmp_path / "other", seed=1)
    mpii_set(tmp_path / "mpii")
    return tmp_path


def trained(folder, name, *fields, network=None):
    """The file of a detector that such a training would write; its weights are read only where another starts there."""
    data = (f"data.annotations={folder}/{name}/{FILES[name]}", f"data.images={folder}/{name}/images")
    kind = "mpii" if name == "mpii" else "coco"
    job = run.prepare(read_config(TrainDetectorConfig, [f"data={kind}", *data, f"output={folder}/out", *NET, *fields]))
    card = run._card(job.plan, "1")
    file = f"{folder}/trained on {name}.pt"
    save_detector(file, network or nn.Linear(1, 1), card)
    return file


def notes(weights, sha256):
    return notes_of_training(PluginConfig.model_validate({"name": "hrnet", "weights": weights}), sha256)


def test_annotations_that_a_detector_was_trained_on_are_known_to_it(folder):
    coco, other = (read_coco(f"{folder}/{name}/people.json").sha256 for name in ("coco", "other"))
    first = trained(folder, "coco")
    assert notes(first, coco) == [
        "the detector was trained on these annotations: its scores say little about other people"
    ]
    assert notes(first, other) == []
    mpii = trained(folder, "mpii")
    assert notes(mpii, read_mpii(f"{folder}/mpii/valid.json").sha256)


def test_what_the_weights_to_start_from_were_trained_on_counts_too(folder):
    second = trained(folder, "other", f"weights={trained(folder, 'coco', network=HrnetNetwork(4, 17))}")
    for name in ("coco", "other"):
        assert notes(second, read_coco(f"{folder}/{name}/people.json").sha256)


def test_weights_of_others_and_weights_that_are_gone_say_nothing(folder):
    digest = read_coco(f"{folder}/coco/people.json").sha256
    assert notes("random:1", digest) == notes(f"{folder}/none.pt", digest) == []
    assert notes_of_training(PluginConfig(name="blazepose"), digest) == []
