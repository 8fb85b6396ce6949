"""The examples of docs/extending.md work as they stand on the page."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from aligners.two_views import SMALL, groups
from aligners.two_views import tracks as two_views
from datasets.moving_people import camera, walking
from docs.doc_commands import check
from tracks.track_samples import write_tracks
from train.training_samples import person, small, write

from jobs.command_line.main import run_job
from pipelines.aligners.base import embed
from pipelines.aligners.checkpoint import AlignerCard, load_aligner, save_aligner
from pipelines.detectors.base import Detector
from pipelines.detectors.loading import load_detector
from pipelines.lifters.checkpoint import LifterCard, load_lifter, save_lifter
from pipelines.lifters.inference import lift
from pipelines.pose.people import People
from pipelines.register.export import export_lifter
from pipelines.tracks.keypoint_reader import read_tracks
from pipelines.train.data import load_data
from pipelines.train.loop import LifterTraining
from pipelines.train.plan import plan_training
from pipelines.train_aligner.loop import AlignerTraining
from pipelines.training.worker_group import WorkerGroup
from schemas.frame_window import FrameWindow
from schemas.job_config import PluginConfig

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def examples(tmp_path, monkeypatch):
    """The page's modules in the working directory, which is on the path."""
    for name, code in re.findall(r'^```python title="([\w.]+)"\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))


def commands() -> list[list[str]]:
    text = PAGE.replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    raylift (.+)$", text, re.MULTILINE)]


def write_poses(folder: Path) -> np.ndarray:
    """Somebody who walks before the camera of the page; returns the keypoints."""
    positions = camera().to_camera(walking(40))
    keypoints = positions[..., :2] / positions[..., 2:] * 1000 + (640, 360)
    np.savez(folder / "poses.npz", keypoints=keypoints, positions=positions)
    return keypoints


@pytest.mark.parametrize("command", commands(), ids=lambda command: command[0])
def test_the_commands_find_what_they_name(command, make_video, tmp_path):
    make_video(tmp_path / "clips" / "a.mp4", frames=5)
    write_poses(tmp_path)
    if command[0] == "train":
        write(tmp_path / "mocap" / "tracks", person("a"), person("b", subject="S2"))
    if command[0] == "train_aligner":
        write_tracks(tmp_path / "out" / "tracks" / "a.parquet", two_views())
    check(command)


def test_there_is_a_command_for_each_example():
    assert len(commands()) == len(re.findall(r"^```python title=", PAGE, re.MULTILINE)) == 5


def test_the_detector_finds_the_bright_object():
    detector = load_detector(PluginConfig.model_validate({"name": "my_detector:BrightObject"}), 1, "cpu")
    assert isinstance(detector, Detector)
    frames = np.zeros((2, 90, 120, 3), np.uint8)
    frames[0, 10:30, 40:80] = 255
    in_bright, in_dark = detector(frames)
    assert in_bright.boxes.tolist() == [[40, 10, 80, 30]]
    assert in_bright.keypoints.tolist() == [[[60, 20]] * 17]
    assert len(in_dark) == 0


def test_the_example_person_finder_gives_a_detector_its_boxes():
    options = {"weights": "random:0", "channels": 8, "input_size": "64x64", "min_person_score": 0}
    config = {"name": "hrnet", "persons": {"name": "my_finder:MiddleOfTheFrame"}, **options}
    by_frame = load_detector(PluginConfig.model_validate(config), 1, "cpu")(np.zeros((2, 90, 120, 3), np.uint8))
    assert all(isinstance(people, People) for people in by_frame)
    assert [people.boxes.tolist() for people in by_frame] == [[[30, 0, 90, 90]]] * 2


def test_the_lifter_is_trained_saved_and_lifts(tmp_path):
    labeled = write(tmp_path / "labeled", person("a"))
    unlabeled = write(tmp_path / "unlabeled", person("b"))
    lifter = {"name": "my_lifter:ThreeFrames", "channels": 16}
    config = small(labeled, unlabeled, tmp_path / "out").model_copy(
        update={"lifter": PluginConfig.model_validate(lifter)}
    )
    alone, plan = WorkerGroup(torch.device("cpu")), plan_training(config)
    training = LifterTraining(config, plan, load_data(config, plan, alone), alone)
    for _ in range(2):
        training.run_epoch()
    card = LifterCard(
        **{"lifter": lifter["name"], "config": {"channels": 16}, "input_layout": "h36m17", "output_layout": "h36m17"},
        **{"trajectory": True, "fps": 50.0, "window": FrameWindow.sliding(3)},
    )
    save_lifter(str(tmp_path / "mine.pt"), training.model, card)
    model, loaded = load_lifter(str(tmp_path / "mine.pt"), trust="my_lifter:ThreeFrames")
    assert loaded == card
    (pose, trajectory), *_ = lift(model, [torch.zeros(20, 17, 2)], flip=True)
    assert pose.shape == (20, 17, 3)
    assert trajectory is not None
    assert trajectory.shape == (20, 1, 3)
    assert export_lifter(model.eval()).least_frames >= 3


def test_the_aligner_is_trained_saved_and_embeds(tmp_path):
    network = PluginConfig.model_validate({"name": "my_aligner:OneLayer", "dimensions": 16})
    config = SMALL.model_copy(update={"network": network})
    training = AlignerTraining(config, groups(), {}, WorkerGroup(torch.device("cpu")))
    assert training.run_epoch().losses["total"] < 10
    save_aligner(str(tmp_path / "mine.pt"), training.model, AlignerCard.of(network))
    loaded, *_ = load_aligner(str(tmp_path / "mine.pt"), trust="my_aligner:OneLayer")
    person = next(iter(groups().values()))[0]
    assert embed(loaded, person).shape == (len(person), 16)


def test_the_source_is_imported(tmp_path):
    keypoints = write_poses(tmp_path)
    (command,) = [command for command in commands() if command[0] == "import_poses"]
    assert run_job("import_poses", command[1:]) == 0
    (track,) = read_tracks("mocap/tracks")
    assert (track.subject, track.positions_layout, len(track)) == ("S1", "h36m17", 40)
    np.testing.assert_allclose(track.keypoints, keypoints, rtol=1e-6)
