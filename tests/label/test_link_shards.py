"""Buckets of videos: bounded, whatever the order, and little changed by a video more."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from label.detection_samples import SETTINGS, clip, person, sources, write_shard

from pipelines.label.ledger import read_ledger
from pipelines.label.link import link_videos
from pipelines.label.link_shards import MAX_VIDEOS, MAX_WEIGHT, distribute, plan_link_shards, remove_outdated
from schemas.configs.link import LinkConfig

VIDEOS = [f"/videos/{number}.mp4" for number in range(3000)]


def members(videos, weights):
    shards = distribute(videos, np.array(weights))
    return {prefix: sorted(videos[place] for place in places) for prefix, places in shards}


def test_no_shard_holds_too_much_and_each_video_is_in_one():
    weights = np.random.default_rng(0).integers(1, 100_000, len(VIDEOS))
    shards_of_videos = list(distribute(VIDEOS, weights))
    assert sorted(place for _, places in shards_of_videos for place in places) == list(range(len(VIDEOS)))
    assert all(len(places) <= MAX_VIDEOS for _, places in shards_of_videos)
    assert all(weights[places].sum() <= MAX_WEIGHT for _, places in shards_of_videos)
    assert len({prefix for prefix, _ in shards_of_videos}) == len(shards_of_videos) < 3 * weights.sum() / MAX_WEIGHT


def test_a_video_longer_than_any_shard_is_alone():
    shards_of_videos = members(VIDEOS[:50], [10 * MAX_WEIGHT, *[1] * 49])
    assert [VIDEOS[0]] in shards_of_videos.values()


def test_without_videos_there_is_no_shard():
    assert list(distribute([], np.zeros(0, np.int64))) == []


def test_an_additional_video_changes_only_its_own_shard():
    before, after = members(VIDEOS[:-1], [1000] * (len(VIDEOS) - 1)), members(VIDEOS, [1000] * len(VIDEOS))
    assert sum(shard not in after.values() for shard in before.values()) == 1
    assert members(VIDEOS[::-1], [1000] * len(VIDEOS)) == after


def plan(folder, *videos, **options):
    return plan_link_shards(str(folder / "tracks"), read_ledger(str(folder / "detections"), SETTINGS), videos, options)


def test_the_name_of_a_file_depends_on_its_content_only(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    rows = [clip("a", 0, 2), clip("b", 0, 1), clip("a", 1, 2)]
    write_shard(first / "detections", rows)
    for row in rows[::-1]:
        write_shard(second / "detections", [row])

    def names(*plans):
        return [[shard.uri.rsplit("/", 1)[1] for shard in shards] for shards in plans]

    one, other = names(plan(first, *sources("a", "b")), plan(second, *sources("a", "b")))
    assert one == other
    changed = names(plan(first, *sources("a")), plan(first, *sources("a", "b"), max_gap_s=1))
    write_shard(first / "detections", [clip("c", 0, 1)])
    changed += names(plan(first, *sources("a", "b")))
    assert len({tuple(name) for name in [one, *changed]}) == 4


def test_a_shard_is_linked_in_order_of_frames_each_clip_once(tmp_path):
    def four_frames(start):
        return [[person(100 + 2 * number)] for number in range(start, start + 4)]

    rows = [clip("a", index, 4, people=four_frames(4 * index)) for index in range(3)]
    failed = clip("a", 3, 4, error="cracked", decoded=[False] * 4)
    write_shard(tmp_path / "detections", [rows[2], clip("b", 0, 1), rows[0]])
    write_shard(tmp_path / "detections", [rows[1], rows[2], failed])
    (shard,) = plan(tmp_path, *sources("a", "b"))
    assert link_videos(shard, LinkConfig(), assumed_fov_deg=None) == 1
    (track,) = pq.read_table(shard.uri).to_pylist()
    assert (track["video"], track["frames"], track["start_frame"], any(track["interpolated"])) == ("a", 12, 0, False)
    assert track["timestamps_s"] == pytest.approx(np.arange(12) / 10)
    assert np.reshape(track["boxes"], (12, 4))[:, 0] == pytest.approx(100 + 2 * np.arange(12))


def test_only_replaced_files_are_removed(tmp_path):
    for name in ("bucket-old.parquet", "bucket-new.parquet", "mine.parquet"):
        (tmp_path / name).write_bytes(b"")
    write_shard(tmp_path / "detections", [clip("a", 0)])
    (shard,) = plan(tmp_path)
    new = type(shard)(str(tmp_path / "bucket-new.parquet"), (), (), {})
    remove_outdated(str(tmp_path), [new])
    assert sorted(file.name for file in tmp_path.glob("*.parquet")) == ["bucket-new.parquet", "mine.parquet"]
