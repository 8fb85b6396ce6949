"""A calibration is scaled to its video where it says its own size, and refused where it cannot be the video's."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from label.detection_samples import SETTINGS, clip, person, write_shard

from pipelines.label.ledger import read_ledger
from pipelines.label.link import link_videos
from pipelines.label.link_shards import plan_link_shards
from pipelines.label.plan import PlanClips
from pipelines.label.video_sources import find_videos
from pipelines.video.isolated import READER
from schemas.cameras import Intrinsics
from schemas.configs.label import DecodeConfig
from schemas.configs.link import LinkConfig
from schemas.errors import UserError
from schemas.formats.videos import VideoSource


def planned(sources):
    columns = {
        "source": pa.array([source.model_dump_json() for source in sources]),
        "done": pa.nulls(len(sources), pa.list_(pa.int32())),
    }
    return [row for table in PlanClips(DecodeConfig(), READER)(pa.table(columns)) for row in table.to_pylist()]


def test_a_clip_has_the_calibration_for_its_own_pixels(make_video, tmp_path):
    make_video(tmp_path / "a.mp4", size=(160, 120))
    (tmp_path / "m.csv").write_text("uri,fx,fy,cx,cy,width,height\na.mp4,1500,1500,960,720,1920,1440\n")
    [row] = planned(find_videos(str(tmp_path / "m.csv")))
    assert row["error"] is None
    assert [row["intrinsics"][name] for name in ("fx", "fy", "cx", "cy")] == pytest.approx([125, 125, 80, 60])


def test_a_calibration_of_another_picture_is_an_error_row_that_names_both_sizes(make_video, tmp_path):
    for name in ("a", "b", "c"):
        make_video(tmp_path / f"{name}.mp4", size=(160, 120))
    (tmp_path / "m.csv").write_text(
        "uri,fx,fy,cx,cy,width,height\na.mp4,1500,1500,960,720,,\nb.mp4,1.2,1.6,0.5,0.5,,\nc.mp4,90,90,300,60,160,120\n"
    )
    far, normalised, outside = (row["error"] for row in planned(find_videos(str(tmp_path / "m.csv"))))
    assert "principal point (960, 720) lies outside the picture: the picture is 160x120 px, no size" in far
    assert "1.2 makes a field of view of 178.3 degrees" in normalised
    assert "calibrated at 160x120 px" in outside


def tracks(folder, source, assumed_fov_deg=None, **more):
    write_shard(
        folder / "detections", [clip(source.uri, 0, 1, people=[[person(100 + 2 * n)] for n in range(4)]) | more]
    )
    ledger = read_ledger(str(folder / "detections"), SETTINGS)
    [shard] = plan_link_shards(str(folder / "tracks"), ledger, [source], {})
    link_videos(shard, LinkConfig(min_track_s=0.1), assumed_fov_deg)
    return pq.read_table(shard.uri).to_pylist()


def test_what_a_manifest_says_later_reaches_the_tracks(tmp_path):
    [track] = tracks(tmp_path, VideoSource(uri="/a.mp4", fov_deg=90))
    assert track["intrinsics_provenance"] == "calibrated"
    assert [track["intrinsics"][name] for name in ("fx", "fy", "cx", "cy")] == pytest.approx([320, 320, 320, 180])
    wrong = VideoSource(uri="/a.mp4", intrinsics=Intrinsics(fx=300, fy=300, cx=960, cy=540))
    with pytest.raises(UserError, match=r"videos: /a.mp4: camera: .* 640x360 px, no size of the calibration"):
        tracks(tmp_path, wrong)


def test_the_focal_length_in_the_files_metadata_comes_before_an_assumption_and_after_a_calibration(tmp_path):
    [stated] = tracks(tmp_path / "1", VideoSource(uri="/a.mp4"), 60, focal_35mm=27.0)
    assert stated["intrinsics_provenance"] == "metadata"
    assert [stated["intrinsics"][name] for name in ("fx", "fy", "cx", "cy")] == pytest.approx([480, 480, 320, 180])
    [given] = tracks(tmp_path / "2", VideoSource(uri="/a.mp4", fov_deg=90), 60, focal_35mm=27.0)
    assert given["intrinsics_provenance"] == "calibrated"
    [assumed] = tracks(tmp_path / "3", VideoSource(uri="/a.mp4"), 60)
    assert assumed["intrinsics_provenance"] == "assumed_fov"


def test_odd_calibrations_that_people_have(shared_data):
    folder = shared_data / "odd"
    wide, short = planned(find_videos(str(folder / "intrinsics_other_size" / "cam.csv")))
    assert "lies outside the picture: the picture is 576x576 px" in wide["error"]
    assert "makes a field of view" in short["error"]
    [scaled] = find_videos(str(folder / "manifest_text" / "wh.csv"))
    intrinsics = scaled.intrinsics_at(576, 576)
    assert intrinsics is not None
    assert (intrinsics.cx, intrinsics.cy) == (288, 288)
