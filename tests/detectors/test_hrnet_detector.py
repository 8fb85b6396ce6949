import numpy as np
import pytest
import torch
from pydantic import ValidationError

from jobs.command_line.arguments import read_config
from pipelines.detectors.base import Detector, KeypointEstimator
from pipelines.detectors.card import DetectorCard, save_detector
from pipelines.detectors.hrnet.detector import Hrnet, HrnetConfig
from pipelines.detectors.hrnet.network import HrnetNetwork
from pipelines.label.job import detection_settings
from schemas.configs.label import LabelConfig
from schemas.errors import UserError


def build(**options) -> Hrnet:
    fields = {"weights": "random:0", "channels": 4, "persons": {"name": "fixed_people:TwoPeople"}, **options}
    return Hrnet(HrnetConfig.model_validate(fields), 1, "cpu")


def noise(count=2, height=90, width=120) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize("options", [{}, {"input_size": "384x288", "decode": "dark"}, {"flip": True, "decode": "udp"}])
def test_two_boxes_per_frame_give_two_people(options):
    detector = build(**options)
    assert isinstance(detector, Detector)
    assert isinstance(detector, KeypointEstimator)
    people = detector(noise())
    assert [each.keypoints.shape for each in people] == [(2, 17, 2)] * 2
    assert all(np.isfinite(each.keypoints).all() for each in people)
    assert all((each.scores > 0).all() and (each.scores <= 1).all() for each in people)


def test_the_hash_is_of_all_weights():
    alone = build().weights_sha256
    assert alone == build(persons={"name": "whole_frame"}).weights_sha256
    assert alone != build(weights="random:1").weights_sha256
    with_persons = build(persons={"weights": "random:0", "input_size": "128x128"}).weights_sha256
    assert with_persons != alone
    assert with_persons != build(persons={"weights": "random:1", "input_size": "128x128"}).weights_sha256


def test_what_training_noted_is_used(tmp_path):
    torch.manual_seed(0)
    card = DetectorCard(detector="hrnet", channels=4, layout="mpii16", input_size="128x96", sigma=2.0)
    save_detector(str(tmp_path / "ours.pt"), HrnetNetwork(4, 16), card)
    detector = build(weights=str(tmp_path / "ours.pt"), channels=None, min_person_score=0)
    assert detector.layout.name == "mpii16"
    assert detector(noise())[0].keypoints.shape == (2, 16, 2)


def read(*fields):
    """What is said of a wrong command."""
    with pytest.raises(UserError) as error:
        read_config(LabelConfig, ["videos=a", "output=b", "detector=hrnet", *fields])
    return str(error.value)


def test_mistakes_are_reported_before_any_work():
    assert read() == "detector.weights: is required; give detector.weights=…"
    assert "detector.input_size=100x100: height and width must be multiples of 32" in read(
        "detector.weights=random:0", "detector.input_size=100x100"
    )
    assert "detector.persons.input_size=640: " in read("detector.weights=random:0", "detector.persons.input_size=640")
    assert read("detector.weights=random:0", "detector.persons.input_size=100x64") == (
        "detector.persons.input_size=100x64: height and width must be multiples of 32"
    )
    assert "detector.persons.every=0" in read("detector.weights=random:0", "detector.persons.every=0")
    with pytest.raises(ValidationError):
        HrnetConfig(weights="random:0", input_size="256")


def test_an_unknown_way_to_find_people():
    message = read("detector.weights=random:0", "detector.persons.name=dtr")
    assert message.startswith("detector.persons.name=dtr: unknown plug-in 'dtr'; known: detr, whole_frame, or ")
    assert message.endswith("; did you mean 'detr'?")


def test_an_output_may_be_continued_faster_but_not_otherwise():
    def settings(*fields):
        config = read_config(
            LabelConfig, ["videos=a", "output=b", "detector=hrnet", "detector.weights=random:0", *fields]
        )
        return detection_settings(config)

    first = settings()
    faster = (
        "detector.batch_size=7",
        "detector.compile=default",
        "detector.persons.batch_size=2",
        "detector.persons.weights=x",
    )
    assert settings(*faster) == first
    assert first["detector.persons.min_score"] == 0.3
    assert settings("detector.flip=true") != first
    assert settings("detector.persons.every=5") != first
    assert not any("weights" in name for name in first)


def test_a_relative_path_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "hrnet.pth").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert HrnetConfig(weights="hrnet.pth").weights == str(tmp_path / "hrnet.pth")
    assert HrnetConfig(weights="random:0").weights == "random:0"
