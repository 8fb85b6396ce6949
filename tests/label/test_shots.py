"""Tracks end where a film cuts, and know their shots."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from label.detection_samples import SETTINGS, clip, person, sources, write_shard

from pipelines.label.decode import DecodeClips
from pipelines.label.ledger import read_ledger
from pipelines.label.link import link_videos
from pipelines.label.link_shards import plan_link_shards
from pipelines.label.plan import PlanClips
from pipelines.label.shots import shots_of
from pipelines.video.isolated import READER
from schemas.configs.label import DecodeConfig
from schemas.configs.link import LinkConfig
from schemas.formats.detections import THUMBNAIL_BYTES
from schemas.formats.videos import VideoSource


def picture(seed: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 255, THUMBNAIL_BYTES, np.uint8).tobytes()


def linked(folder, pictures, **options):
    """The tracks of three clips of four frames, in which somebody stands all the time."""
    rows = [
        clip("a", number, 3, people=[[person(100)]] * 4, thumbnails=pictures and pictures[4 * number : 4 * number + 4])
        for number in range(3)
    ]
    write_shard(folder / "detections", rows)
    [shard] = plan_link_shards(
        str(folder / "tracks"), read_ledger(str(folder / "detections"), SETTINGS), sources("a"), options
    )
    link_videos(shard, LinkConfig(min_track_s=0.1, **options), assumed_fov_deg=None)
    return pq.read_table(shard.uri).to_pylist()


# The film cuts where the third clip begins, so that no process sees both sides of the cut.
FILM = [picture(0)] * 8 + [picture(1)] * 4


def test_no_track_goes_on_after_a_cut(tmp_path):
    before, after = linked(tmp_path, FILM)
    assert (before["start_frame"], before["frames"], set(before["shots"])) == (0, 8, {0})
    assert (after["start_frame"], after["frames"], set(after["shots"])) == (8, 4, {1})


def test_a_track_may_go_on_by_option_and_knows_its_shots(tmp_path):
    [track] = linked(tmp_path, FILM, across_cuts=True)
    assert track["shots"] == [0] * 8 + [1] * 4


def test_detections_of_earlier_versions_say_nothing_of_shots(tmp_path):
    [track] = linked(tmp_path, None)
    assert (track["frames"], track["shots"], track["still"]) == (12, None, None)


def test_frames_that_cannot_be_decoded_belong_to_the_shot_before():
    pictures = [picture(0), picture(0), picture(0), None, picture(1), picture(1), picture(1)]
    shots = shots_of(pictures, np.arange(7.0) / 10)
    assert shots is not None
    assert shots.numbers.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_a_picture_that_is_shown_for_a_while_is_still(tmp_path):
    [track] = linked(tmp_path, [picture(0)] * 12)
    assert track["still"]


def test_a_decoded_clip_has_a_thumbnail_of_each_frame(make_video, tmp_path):
    make_video(tmp_path / "a.mp4", size=(160, 120))
    source = VideoSource(uri=str(tmp_path / "a.mp4")).model_dump_json()
    row = pa.table({"source": [source], "done": pa.nulls(1, pa.list_(pa.int32()))})
    [planned] = PlanClips(DecodeConfig(), READER)(row)
    [decoded] = DecodeClips(DecodeConfig(), READER)(planned)
    [pictures] = decoded["thumbnails"].to_pylist()
    assert [len(one) for one in pictures] == [THUMBNAIL_BYTES] * len(decoded["decoded"][0])
