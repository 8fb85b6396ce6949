"""What is read back from an output: each clip once, whatever shards hold it."""

import pytest
from label.detection_samples import SETTINGS, clip, write_shard

from pipelines.io import storage
from pipelines.label.ledger import read_ledger, retire_errors
from pipelines.label.report import failures_of
from schemas.errors import UserError


def done_of(ledger, *videos):
    return ledger.done(list(videos)).to_pylist()


def test_an_empty_folder_holds_nothing(tmp_path):
    ledger = read_ledger(str(tmp_path / "missing"), SETTINGS)
    assert (len(ledger.videos), len(ledger.finished), ledger.weights_sha256) == (0, 0, None)
    assert ledger.shares(["a"]).tolist() == [0.0]
    assert done_of(ledger, "a") == [None]
    assert len(ledger.only(["a"]).videos) == 0


def test_clips_of_a_video_are_found_in_any_shard_and_order(tmp_path):
    write_shard(tmp_path, [clip("b", 2, 3), clip("a", 1, 2), clip("b", 0, 3)])
    write_shard(tmp_path, [clip("a", 0, 2), clip("c", 5)])
    ledger = read_ledger(str(tmp_path), SETTINGS)
    assert done_of(ledger, "a", "b", "c", "d") == [[0, 1], [0, 2], [5], None]
    assert ledger.shares(["d", "c", "b", "a", "a"]).tolist() == pytest.approx([0, 0.1, 2 / 3, 1, 1])
    assert ledger.layout == "coco17"
    by_video = {row["video"]: row for row in ledger.videos.to_pylist()}
    assert (by_video["b"]["frames"], by_video["b"]["clip_count"], by_video["b"]["fps"]) == (8, 3, 10.0)
    assert len(by_video["a"]["files"]) == 2


def test_a_clip_written_twice_counts_once(tmp_path):
    write_shard(tmp_path, [clip("a", 0, 3), clip("a", 1, 3)])
    write_shard(tmp_path, [clip("a", 1, 3), clip("a", 2, 3)])
    ledger = read_ledger(str(tmp_path), SETTINGS)
    assert done_of(ledger, "a") == [[0, 1, 2]]
    assert ledger.videos["frames"].to_pylist() == [12]
    assert len(ledger.finished) == 3


def test_failed_clips_are_not_done_and_are_retired_video_by_video(tmp_path):
    write_shard(tmp_path, [clip("a", 0, 2), clip("a", 1, 2, error="cracked"), clip("b", 0, 1, error="cracked")])
    ledger = read_ledger(str(tmp_path), SETTINGS)
    assert ledger.shares(["a", "b"]).tolist() == [0.5, 0.0]
    assert failures_of(ledger).to_pylist() == [{"video": v, "reason": "cracked"} for v in "ab"]
    retire_errors(ledger, str(tmp_path), ["a"])
    ledger = read_ledger(str(tmp_path), SETTINGS, known=ledger)
    assert failures_of(ledger).to_pylist() == [{"video": "b", "reason": "cracked"}]
    assert done_of(ledger, "a", "b") == [[0], []]
    retire_errors(ledger, str(tmp_path), ["a", "b"])
    assert len(storage.list_folder(str(tmp_path))) == 1


def test_known_shards_are_not_read_again_and_new_ones_are_added(tmp_path):
    write_shard(tmp_path, [clip("a", 0, 3), clip("b", 0, 1)])
    known = read_ledger(str(tmp_path), SETTINGS)
    (tmp_path / known.files[0].rsplit("/", 1)[1]).write_bytes(b"nobody looks")
    write_shard(tmp_path, [clip("a", 2, 3)])
    ledger = read_ledger(str(tmp_path), SETTINGS, known=known)
    assert done_of(ledger, "a", "b") == [[0, 2], [0]]
    assert len(ledger.files) == 2


def test_a_ledger_may_be_narrowed_to_some_videos(tmp_path):
    write_shard(tmp_path, [clip("a", 0, 1), clip("b", 0, 1), clip("c", 0, 1, error="cracked")])
    ledger = read_ledger(str(tmp_path), SETTINGS).only(["b", "c", "unknown"])
    assert sorted(ledger.videos["video"].to_pylist()) == ["b", "c"]
    assert (len(ledger.finished), len(ledger.failed)) == (1, 1)


def test_other_settings_are_refused_unless_any_are_accepted(tmp_path):
    write_shard(tmp_path, [clip("a", 0)])
    with pytest.raises(UserError, match="was begun with detector=by_hand, now detector=other"):
        read_ledger(str(tmp_path), {"detector": "other"})
    assert len(read_ledger(str(tmp_path), None).finished) == 1
