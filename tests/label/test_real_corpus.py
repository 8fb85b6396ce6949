"""The four real videos and every hard case of ../shared/data in one corpus, through the real detector."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.io import storage
from pipelines.video.probe import probe
from schemas.layouts import layout

pytestmark = pytest.mark.ray

ROOT = Path(__file__).parents[2]
UNREADABLE = {
    "audio_only.mp4": "no video stream, only audio",
    "text_as_video.mp4": "not a video: no container format recognised",
    "zero_bytes.mp4": "the file is empty (0 bytes)",
}


def run(videos, output, *fields):
    command = [sys.executable, "-m", "jobs.label", f"videos={videos}", f"output={output}", *fields]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def rows(output, kind, video):
    files = storage.list_folder(f"{output}/{kind}", ".parquet")
    result = pa.concat_tables(storage.read_table(file) for file in files).to_pylist()
    return [row for row in result if row["video"].endswith(f"/{video}")]


def keypoints(track):
    return np.reshape(track["keypoints"], (track["frames"], -1, 2))


@pytest.fixture(scope="module")
def labeled(shared_data, tmp_path_factory):
    output = tmp_path_factory.mktemp("real") / "out"
    return output, run(shared_data / "videos", output)


def test_max_failed_decides_the_exit_code_and_there_is_no_traceback(labeled, shared_data):
    output, done = labeled
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    again = run(shared_data / "videos", output, "max_failed=3")
    assert again.returncode == 0, again.stderr
    assert json.loads((output / "report.json").read_text())["run"]["frames"] == 0, "only the unreadable are retried"


def test_unreadable_files_are_error_rows_with_a_reason_a_person_understands(labeled):
    output, done = labeled
    for video, reason in UNREADABLE.items():
        (row,) = rows(output, "detections", video)
        assert row["error"] == reason
        assert f"{video}: {reason}" in done.stdout


def test_one_person_in_120_frames_is_one_track_of_120_frames(labeled):
    (track,) = rows(labeled[0], "tracks", "tfjs_pose_1.mp4")
    assert track["frames"] == 120
    assert not any(track["interpolated"])
    (track,) = rows(labeled[0], "tracks", "tfjs_pose_squats.mp4")
    assert (track["frames"], track["width"], track["height"]) == (65, 720, 1280)


@pytest.mark.parametrize(
    ("video", "decoded", "damage"),
    [
        ("truncated_faststart.mp4", 13, "truncated: 13 of 120 frames are in the file"),
        ("decord_corrupted.mp4", 49, "frames damaged"),
        ("sports2d_demo.mp4", 230, None),
        ("opencv_vtest.avi", 795, None),
        ("av1.mkv", 120, None),
        ("hevc.mp4", 120, None),
        ("ntsc_23976.mp4", 96, None),
    ],
)
def test_every_decodable_frame_is_labeled_and_damage_is_reported(labeled, video, decoded, damage):
    clips = rows(labeled[0], "detections", video)
    assert sum(sum(clip["decoded"]) for clip in clips) == decoded
    damages = "; ".join(clip["damage"] for clip in clips if clip["damage"])
    assert damage in damages if damage else not damages
    assert all(clip["decoder"] in ("decord", "pyav") for clip in clips)


def test_a_rotated_video_comes_out_upright(labeled):
    (turned,) = rows(labeled[0], "tracks", "rot90_meta.mp4")
    (upright,) = rows(labeled[0], "tracks", "tfjs_pose_1.mp4")
    # The same pixels, shown turned by a quarter: its keypoints are the others' turned by a quarter.
    distances = []
    for x, y in ((lambda k: k[..., 1], lambda k: 576 - k[..., 0]), (lambda k: 576 - k[..., 1], lambda k: k[..., 0])):
        points = keypoints(upright)
        distances.append(
            np.median(np.hypot(x(points) - keypoints(turned)[..., 0], y(points) - keypoints(turned)[..., 1]))
        )
    assert min(distances) < 0.02 * 576


def test_variable_frame_rate_timestamps_are_the_containers(labeled, shared_data):
    stamps = [t for clip in rows(labeled[0], "detections", "vfr.mp4") for t in clip["timestamps_s"]]
    import av

    with av.open(str(shared_data / "videos/edge/vfr.mp4")) as container:
        truth = sorted(float(frame.time) for frame in container.decode(video=0) if frame.time is not None)
    assert np.abs(np.array(sorted(stamps)) - truth).max() < 1e-3
    assert probe(shared_data / "videos/edge/vfr.mp4").frame_count == len(truth)


def test_tracks_keep_people_inside_the_frame(labeled):
    (track,) = rows(labeled[0], "tracks", "tfjs_pose_1.mp4")
    assert track["layout"] == layout("coco21").name
    limbs = keypoints(track)[:, 5:17]
    assert (limbs > -30).all()
    assert (limbs < 606).all()
