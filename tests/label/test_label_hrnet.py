"""label from end to end with a top-down detector: two people in each frame, several clips."""

import av
import numpy as np
import pyarrow as pa
import pytest

from jobs.command_line.arguments import read_config
from pipelines.io import storage
from pipelines.label import run
from pipelines.label.detect import DetectPeople
from pipelines.video.encode import VideoWriter
from schemas.configs.label import LabelConfig
from schemas.formats.detections import DECODED
from schemas.job_config import PluginConfig

FIELDS = [
    *("detector=hrnet", "detector.weights=random:0", "detector.channels=4", "detector.input_size=64x64"),
    *("detector.persons.name=fixed_people:TwoPeople", "detector.min_person_score=0"),
    *("decode.clip_mb=0.5", "link.min_track_s=0.2", "link.high_score=0.1"),
]


def label(videos, output, *fields):
    config = read_config(LabelConfig, [f"videos={videos}", f"output={output}", *FIELDS, *fields])
    job = run.prepare(config)
    work = run.survey(job)
    return None if work.nothing_to_do else run.execute(job, work, lambda progress: None)


def rows(output, kind):
    files = storage.list_folder(f"{output}/{kind}", ".parquet")
    return pa.concat_tables(storage.read_table(file) for file in files).to_pylist()


def make_like(source, path, codec, pixel_format):
    """The same pictures in another format."""
    with av.open(str(source)) as container, VideoWriter(path, 160, 120, 20, codec, pixel_format=pixel_format) as video:
        for frame in container.decode(video=0):
            video.write(frame.to_ndarray(format="rgb24"))


@pytest.mark.ray
def test_two_people_become_two_tracks_in_each_video(embedded_ray, make_video, tmp_path):
    """Of any kind: with a third colour, without, and with a fourth channel."""
    colour = make_video(tmp_path / "videos" / "a.mp4", frames=20)
    short = make_video(tmp_path / "b.mp4", frames=12)
    make_like(short, tmp_path / "videos" / "grey.mkv", "ffv1", "gray")
    make_like(short, tmp_path / "videos" / "transparent.mov", "png", "rgba")
    report = label(tmp_path / "videos", tmp_path / "out")
    assert report is not None
    assert (report["videos"], report["frames"], report["people_in_frames"], report["tracks"]) == (3, 44, 88, 6)
    detections = rows(tmp_path / "out", "detections")
    assert len(detections) == 3 + 2 + 2
    assert all(len(people) == 2 for row in detections for people in row["people"])
    metadata = storage.read_schema(storage.list_folder(f"{tmp_path}/out/detections")[0]).metadata
    assert metadata[b"raylift.layout"] == b"coco17"
    assert len(metadata[b"raylift.weights_sha256"]) == 64
    tracks = {track["video"].rsplit("/", 1)[1]: track for track in rows(tmp_path / "out", "tracks") if left(track)}
    np.testing.assert_allclose(np.reshape(tracks[colour.name]["boxes"], (-1, 4))[0], [8, 12, 72, 108], atol=0.01)
    assert len(tracks[colour.name]["keypoints"]) == tracks[colour.name]["frames"] * 17 * 2
    # The pictures are grey: the joints are where they are, whatever they are stored as.
    grey, transparent = (tracks[name]["keypoints"] for name in ("grey.mkv", "transparent.mov"))
    np.testing.assert_allclose(grey, transparent, atol=0.5)
    assert label(tmp_path / "videos", tmp_path / "out", "detector.batch_size=3") is None, "all is done already"


def left(track):
    return track["boxes"][0] < 20


def test_missing_weights_are_an_error_of_one_line():
    row = dict.fromkeys(DECODED.names) | {"clip_id": "0", "video": "v.mp4", "decoded": [True]}
    clip = pa.Table.from_pylist([row], schema=pa.schema([field.with_nullable(True) for field in DECODED]))
    [table] = DetectPeople(PluginConfig(name="hrnet", **{"weights": "nowhere.pth"}), 1, "cpu")(clip)
    [line] = table["user_error"].to_pylist()
    assert line.startswith("detector.weights=nowhere.pth: cannot be read: No such file")
    assert line.endswith("; give the path of a checkpoint of HRNet")
