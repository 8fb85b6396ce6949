"""`raylift import_keypoints` as a user meets it: files of other systems become tracks."""

import json

import numpy as np
import pytest
from mlflow_store import datasets_of

from jobs.command_line import main
from pipelines.tracks.keypoint_reader import read_tracks
from schemas.layouts import layout

COCO = layout("coco17")
FRAMES = 40


def raylift(capfd, *arguments):
    """Run the job in this process; returns (exit code, stdout, stderr)."""
    code = main.run_job("import_keypoints", [str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def walker(left_px, frames=FRAMES):
    """(frames, 17, 3): a person who moves to the right; x, y, confidence."""
    body = np.random.default_rng(0).uniform(0, 40, (17, 2)) * (1, 2)
    places = body + np.stack([left_px + np.arange(frames), np.full(frames, 20.0)], axis=1)[:, None]
    return np.concatenate([places, np.full((frames, 17, 1), 0.9)], axis=2)


def write_results(path, *people):
    entries = [
        {"image_id": f"{frame}.jpg", "category_id": 1, "keypoints": person[frame].ravel().tolist(), "score": 0.9}
        for person in people
        for frame in range(len(person))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries))


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Results of two people in a film of 160 × 120 px that the repository's own writer made."""
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path / "results" / "walk.json", walker(10), walker(80))
    return ["source=alphapose", "source.files=results", "output=out"]


SIZE = ("source.width=160", "source.height=120", "source.fps=30")


def test_people_of_a_video_become_tracks(command, capfd):
    code, out, _ = raylift(capfd, *command, *SIZE)
    assert code == 0
    assert out.startswith("tracks       2 in layout coco17: 2 of them unlabeled\nframes       80 in ")
    first, second = read_tracks("out/tracks")
    assert (first.video, first.person, first.fps, first.width) == ("walk", 0, pytest.approx(30), 160)
    assert first.keypoints[5] == pytest.approx(walker(10)[5, :, :2], rel=1e-5)
    assert second.keypoints[5] == pytest.approx(walker(80)[5, :, :2], rel=1e-5)
    assert first.positions is None
    assert datasets_of("import_keypoints") == {
        ("importing", "raylift.files", "results"): {"source": "alphapose", "files": 1}
    }
    done = raylift(capfd, *command, *SIZE)
    assert done[:2] == (0, "import_keypoints: nothing to do: out holds all tracks of this source\n")


def test_size_and_times_come_from_the_video(command, capfd, make_video, tmp_path):
    make_video(tmp_path / "films" / "walk.mp4", frames=FRAMES, fps=20)
    assert raylift(capfd, *command, "source.videos=films")[0] == 0
    track = next(read_tracks("out/tracks"))
    assert (track.video, track.width, track.height) == (str(tmp_path / "films" / "walk.mp4"), 160, 120)
    assert track.timestamps_s == pytest.approx(np.arange(FRAMES) / 20)


def test_missing_joints_have_no_score_and_lie_between_their_neighbours_in_time(command, capfd, tmp_path):
    person = walker(10)
    person[10:20, COCO.index("left_knee")] = 0
    write_results(tmp_path / "results" / "walk.json", person)
    assert raylift(capfd, *command, *SIZE)[0] == 0
    (track,) = read_tracks("out/tracks")
    knee = COCO.index("left_knee")
    assert (track.scores[:, knee] == 0).sum() == 10
    assert track.keypoints[15, knee] == pytest.approx(walker(10)[15, knee, :2], abs=1e-3)


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        ({}, (), "the size of the pictures of walk is not known; give source.videos=…, or source.width and"),
        ({}, ("source.width=160", "source.height=120"), "the frame rate of walk is not known; give source.videos"),
        ({"scale": 8}, SIZE, "keypoints of walk lie outside pictures of 160 × 120 px"),
        ({"scale": 1 / 200}, SIZE, "keypoints of walk are shares of the picture's size, not pixels"),
        ({}, ("source=openpose", "source.files=results"), "holds no files NAME_000000000000_keypoints.json"),
        ({}, ("source.files=nowhere", *SIZE), "there is no such file or folder"),
        ({}, ("source.videos=films",), "has no video named walk"),
        ({}, ("source=alphapos",), "unknown plug-in 'alphapos'"),
    ],
)
def test_what_cannot_be_imported_is_one_line(change, more, message, command, capfd, tmp_path):
    (tmp_path / "films").mkdir()
    write_results(tmp_path / "results" / "walk.json", walker(10) * (change.get("scale", 1), change.get("scale", 1), 1))
    code, _, err = raylift(capfd, *command, *more)
    assert (code, len(err.splitlines())) == (2, 1), err
    assert message in err


def test_a_video_shorter_than_its_keypoints_is_another_one(command, capfd, make_video, tmp_path):
    make_video(tmp_path / "films" / "walk.mp4", frames=10)
    code, _, err = raylift(capfd, *command, "source.videos=films")
    assert code == 2
    assert "speaks of frame 39, but walk has 10 frames; give the video that was labeled" in err
