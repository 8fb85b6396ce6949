"""Detected tracks of synthetic videos get the positions of the person they follow, frame by frame in time."""

from dataclasses import replace

import numpy as np
import pytest
from pose_files import noise
from tracks.track_samples import make_track, write_tracks

from pipelines.datasets.synthetic import Synthetic, label_track
from pipelines.io import storage
from pipelines.synthetic.cameras import View
from pipelines.synthetic.truth import Truth, write_truth
from schemas.cameras import Intrinsics
from schemas.errors import UserError
from schemas.layouts import layout, shared_joints

PAIRS = np.array(shared_joints(layout("coco17"), layout("h36m17")))
VIEW = View("C0", Intrinsics(fx=640, fy=640, cx=320, cy=320), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 640, 640)
FRAMES, FPS = 30, 30.0


def person(number: int, left_px: float) -> Truth:
    """Somebody 200 px tall who stands at a place of the image."""
    keypoints = (noise(FRAMES, 17, 2, seed=number) + 0.8) * [50, 125] + [left_px, 100]
    return Truth(
        video="videos/v.mp4",
        person=number,
        subject=f"S{number:03d}",
        action="walk",
        view=VIEW,
        fps=FPS,
        timestamps_s=np.arange(FRAMES) / FPS,
        keypoints=keypoints.astype(np.float32),
        positions=noise(FRAMES, 17, 3, seed=10 + number) + np.float32(4),
        visible=np.ones((FRAMES, 17), bool),
    )


PEOPLE = [person(0, 50), person(1, 400)]


def detected(name: str, follows: list[int], video: str = "v", first: int = 0, error_px: float = 3):
    """A track that follows the person numbered so in each frame, -1 nobody."""
    frames = np.arange(first, first + len(follows))
    keypoints = np.full((len(follows), 17, 2), 900, np.float32)
    for row, (frame, number) in enumerate(zip(frames, follows, strict=True)):
        if number >= 0:
            keypoints[row, PAIRS[:, 0]] = PEOPLE[number].keypoints[frame, PAIRS[:, 1]] + error_px
    return make_track(
        name,
        len(follows),
        video=video,
        fps=FPS,
        start_frame=first,
        timestamps_s=frames / FPS + 0.004,
        keypoints=keypoints,
        interpolated=np.zeros(len(follows), bool),
        positions=None,
        positions_layout=None,
        subject="S000+S001",
        intrinsics=None,
        intrinsics_provenance="none",
    )


def test_the_track_keeps_its_detections_and_gets_the_truth():
    track = detected("t", [1] * 20, first=5)
    labeled = label_track(track, PEOPLE, 0.2)
    assert labeled is not None
    assert labeled.positions is not None
    assert np.array_equal(labeled.positions, PEOPLE[1].positions[5:25])
    assert np.array_equal(labeled.keypoints, track.keypoints)
    assert np.array_equal(labeled.timestamps_s, track.timestamps_s)
    assert (labeled.subject, labeled.camera, labeled.layout, labeled.positions_layout) == (
        *("S001", "C0", "coco17", "h36m17"),
    )
    assert (labeled.intrinsics, labeled.intrinsics_provenance) == (VIEW.intrinsics, "calibrated")


@pytest.mark.parametrize(
    ("follows", "kept", "number"),
    [
        ([0] * 8 + [1] * 12, (8, 20), 1),
        ([0] * 6 + [1] * 4 + [0] * 7, (10, 17), 0),
        ([-1] * 3 + [0] * 5 + [-1] * 2 + [0] * 5 + [-1] * 4, (3, 15), 0),
    ],
)
def test_only_the_longest_stretch_with_one_person_is_kept(follows, kept, number):
    labeled = label_track(detected("t", follows), PEOPLE, 0.2)
    assert labeled is not None
    assert labeled.positions is not None
    assert (labeled.start_frame, labeled.start_frame + len(labeled)) == kept
    assert np.array_equal(labeled.positions, PEOPLE[number].positions[slice(*kept)])


def test_frames_are_matched_by_time_not_by_number():
    track = detected("t", [0] * 10)
    # A video at half the rate of the truth: its frames are the truth's even ones.
    even = replace(track, timestamps_s=np.arange(10) * 2 / FPS, keypoints=np.copy(track.keypoints))
    even.keypoints[:, PAIRS[:, 0]] = PEOPLE[0].keypoints[:20:2, PAIRS[:, 1]]
    labeled = label_track(even, PEOPLE, 0.2)
    assert labeled is not None
    assert labeled.positions is not None
    assert np.array_equal(labeled.positions, PEOPLE[0].positions[:20:2])
    late = replace(even, timestamps_s=even.timestamps_s + 100)
    assert label_track(late, PEOPLE, 0.2) is None


def test_tracks_of_nobody_are_noted_and_other_videos_refused(tmp_path):
    studio = str(tmp_path / "studio")
    write_truth(f"{studio}/truth/v.parquet", PEOPLE)
    video = storage.absolute(f"{studio}/videos/v.mp4")
    tracks = [detected("good", [0] * 9, video), detected("ghost", [-1] * 9, video), detected("other", [0] * 9, "w")]
    folder = tmp_path / "out" / "tracks"
    write_tracks(folder / "a.parquet", tracks)
    source = Synthetic(Synthetic.Config(tracks=str(folder), truth=studio))
    assert [track.track_id for track in source.tracks()] == ["good"]
    assert source.notes == [
        f"track ghost of {video}: follows nobody in the truth",
        "track other of w: follows nobody in the truth",
    ]
    assert {name: len(files) for name, files in source.inputs().items()} == {"tracks": 1, "truth": 1}
    write_tracks(folder / "a.parquet", tracks[2:])
    with pytest.raises(UserError, match=r"no track is of a video in .*; give the tracks of: raylift label videos="):
        list(source.tracks())
