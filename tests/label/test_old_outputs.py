"""What version 0.1.0 wrote is opened and continued; `written_by_0_1_0/README.md` says how it was made."""

import shutil
from pathlib import Path

import pytest

from pipelines.label import run
from pipelines.label.job import Job, detection_settings
from pipelines.label.link import link_videos
from pipelines.tracks.keypoint_reader import read_tracks
from schemas.configs.label import LabelConfig
from schemas.formats.videos import VideoSource

OLD = Path(__file__).with_name("written_by_0_1_0")
# Where the film was, which the output names.
FILM = Path("/tmp/raylift-0.1.0/clips/walk.mp4")


@pytest.fixture
def output(tmp_path):
    shutil.copytree(OLD, tmp_path / "out")
    return tmp_path / "out"


def config(output, **fields) -> LabelConfig:
    return LabelConfig.model_validate(
        {
            **{"videos": str(FILM), "output": str(output), "detector": {"name": "bright_spot:BrightSpot"}},
            **{"decode": {"clip_mb": 0.46}, "workers": {"clips_per_file": 1}},
            **fields,
        }
    )


def job(output, **fields) -> Job:
    settings = config(output, **fields)
    return Job(settings, [VideoSource(uri=str(FILM))], str(output), detection_settings(settings))


def test_a_finished_output_of_0_1_0_is_only_linked_again(output):
    work = run.survey(job(output))
    assert (work.videos, work.retired, len(work.unlinked)) == ([], [], 1)
    [shard] = work.unlinked
    assert link_videos(shard, config(output).link, None) == 1
    [track] = read_tracks(shard.uri)
    assert (track.video, len(track), track.intrinsics) == (str(FILM), 24, None)


def test_tracks_of_0_1_0_are_read(output):
    [file] = (output / "tracks").iterdir()
    [track] = read_tracks(str(file))
    assert (track.video, len(track), track.layout, track.intrinsics_provenance) == (str(FILM), 24, "coco17", "none")


@pytest.mark.ray
def test_an_output_that_0_1_0_left_unfinished_is_resumed(output, make_video, embedded_ray):
    if not FILM.exists():
        make_video(FILM, 24)
    kept = sorted((output / "detections").iterdir())
    kept.pop().unlink()
    resumed = run.prepare(config(output))
    work = run.survey(resumed)
    assert [video.uri for video in work.videos] == [str(FILM)]
    report = run.execute(resumed, work, lambda progress: None)
    assert (report["frames"], report["run"]["frames"]) == (24, 8)
    [track] = [track for file in (output / "tracks").iterdir() for track in read_tracks(str(file))]
    assert len(track) == 24
    assert all(file.exists() for file in kept)
