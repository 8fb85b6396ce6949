"""People in videos: the studio's truth, and tracks with the videos that they are from."""

from typing import Any

import numpy as np
import pytest
from train.training_samples import person, write

from pipelines.annotations.people.source import LabeledImage, PeopleSource, Unreadable
from pipelines.annotations.people.studio import Studio, StudioConfig
from pipelines.annotations.people.tracks import Tracks, TracksConfig
from pipelines.annotations.people.videos import stretches
from pipelines.synthetic.studio import synthesize
from pipelines.synthetic.truth import load_truth
from pipelines.video.isolated import IsolatedReader
from schemas.configs.synthesize import SynthesizeConfig
from schemas.errors import UserError
from schemas.layouts import JointLayout


@pytest.fixture(scope="module")
def reader():
    reader = IsolatedReader(60.0)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "out"
    small = {"people": 3, "people_per_video": 2, "seconds": 0.4, "views": 1, "width": 160, "height": 160, "workers": 1}
    synthesize(SynthesizeConfig.model_validate({"output": str(folder), **small}))
    return str(folder)


def everything(source, reader):
    assert isinstance(source, PeopleSource)
    layout, parts = source.parts()
    assert sum(part.images for part in parts) >= 1
    return layout, [item for part in parts for item in part.read(reader)]


def images(source, reader) -> tuple[JointLayout, list[LabeledImage]]:
    layout, items = everything(source, reader)
    return layout, [image for image in items if isinstance(image, LabeledImage)]


def test_the_studio_knows_every_joint(studio, reader):
    layout, pictures = images(Studio(StudioConfig(folder=studio, every=5)), reader)
    assert layout.name == "h36m17"
    assert [len(image.people) for image in pictures] == [2, 2, 2, 1, 1, 1], "frames 0, 5 and 10 of two videos"
    truth = load_truth(studio)[1]
    # Truth counts from the corner of the image, people from the centre of its first pixel.
    np.testing.assert_allclose(pictures[1].people.keypoints[1], truth.keypoints[5] - 0.5, rtol=1e-5)
    assert pictures[0].pixels.shape == (160, 160, 3)
    head = np.linalg.norm(truth.keypoints[5, 8] - truth.keypoints[5, 10])
    assert pictures[1].people.head_sizes_px[1] == pytest.approx(0.75 * head, rel=1e-4)


def test_boxes_hold_the_joints_with_room(studio, reader):
    for image in images(Studio(StudioConfig(folder=studio)), reader)[1]:
        for box, points, known in zip(image.people.boxes, image.people.keypoints, image.people.labeled, strict=True):
            sides, reach = box[2:] - box[:2], np.ptp(points[known], axis=0)
            np.testing.assert_allclose(sides, 1.2 * reach, rtol=1e-4)


def test_subjects_are_chosen_by_name(studio, reader):
    _, pictures = images(Studio(StudioConfig(folder=studio, subjects=("S001",))), reader)
    assert [len(image.people) for image in pictures] == [1, 1, 1]
    with pytest.raises(UserError, match=r"holds no truth/\*\.parquet of S9"):
        Studio(StudioConfig(folder=studio, subjects=("S9",))).parts()


def labeled(video, **changes):
    keypoints = np.random.default_rng(0).uniform(20, 100, (60, 17, 2)).astype(np.float32)
    fields: dict[str, Any] = {
        "video": str(video),
        "width": 160,
        "height": 120,
        "keypoints": keypoints,
        "positions": None,
    }
    return person("a", 60, **{**fields, "positions_layout": None, **changes})


def test_tracks_with_their_videos(make_video, tmp_path, reader):
    video = make_video(tmp_path / "S1.mp4", frames=40)
    scores = np.ones((60, 17), np.float32)
    scores[:, 3] = 0.4
    interpolated = np.arange(60) == 10
    track = labeled(video, start_frame=5, scores=scores, interpolated=interpolated)
    layout, read = images(Tracks(TracksConfig(tracks=write(tmp_path / "tracks", track), every=10)), reader)
    # Frames 5, 15 (interpolated), 25 and 35, then the video ends before the track does.
    assert layout.name == "h36m17"
    assert [image.name.rsplit(" ")[-1] for image in read] == ["5", "25", "35"]
    np.testing.assert_allclose(read[1].people.keypoints[0], track.keypoints[20] - 0.5, rtol=1e-5)
    assert not read[1].people.labeled[0, 3]
    assert read[1].people.labeled[0, [0, 1, 2, 4]].all()


def test_videos_may_lie_elsewhere(make_video, tmp_path, reader):
    make_video(tmp_path / "elsewhere" / "S1-C0.mp4", frames=8)
    tracks = write(tmp_path / "tracks", labeled("gone.mp4"))
    config = TracksConfig(tracks=tracks, videos=f"{tmp_path}/elsewhere/{{subject}}-{{camera}}.mp4", every=60)
    (image,) = images(Tracks(config), reader)[1]
    assert image.name.endswith("S1-C0.mp4 frame 0")
    with pytest.raises(UserError, match=r"may name \{subject\}, \{action\} and \{camera\} and nothing else"):
        Tracks(TracksConfig(tracks=tracks, videos="{who}.mp4")).parts()


def test_a_video_that_is_gone_is_reported(tmp_path, reader):
    tracks = write(tmp_path / "tracks", labeled(tmp_path / "gone.mp4"))
    (unreadable,) = everything(Tracks(TracksConfig(tracks=tracks, every=60)), reader)[1]
    assert isinstance(unreadable, Unreadable)
    assert "gone.mp4" in unreadable.name


def test_a_video_of_another_size_than_its_tracks_is_reported(make_video, tmp_path, reader):
    video = make_video(tmp_path / "S1.mp4", frames=8, size=(80, 60))
    tracks = write(tmp_path / "tracks", labeled(video))
    (unreadable,) = everything(Tracks(TracksConfig(tracks=tracks, every=60)), reader)[1]
    assert isinstance(unreadable, Unreadable)
    assert unreadable.reason == "is 80 × 60 px, its labels are for 160 × 120"


def test_each_requested_frame_is_in_one_stretch():
    parts = stretches(3, 3000, 5)
    assert [frame for part in parts for frame in part] == list(range(3, 3000, 5))
    assert max(map(len, parts)) == 256
