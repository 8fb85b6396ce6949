"""Whatever order shards are written in, and whatever killed runs leave behind, the ledger gives the same result."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from label.detection_samples import SETTINGS, clip, write_shard

from pipelines.label.ledger import Ledger, read_ledger, retire_errors

CLIPS = [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)]
COUNTS = {"a": 3, "b": 2}

# A batch is the clips of one shard, each finished or failed; a run may be killed while it writes one more.
BATCH = st.lists(st.tuples(st.sampled_from(CLIPS), st.booleans()), min_size=1, max_size=4, unique_by=lambda row: row[0])
BATCHES = st.lists(BATCH, max_size=6)


def write(folder: Path, batches: list) -> None:
    for batch in batches:
        rows = [
            clip(video, index, COUNTS[video], error="cracked" if failed else None) for (video, index), failed in batch
        ]
        write_shard(folder, rows)


def done(ledger: Ledger) -> dict[str, list[int]]:
    return {row["video"]: row["done"] for row in ledger.videos.to_pylist() if row["done"]}


def expected(batches: list) -> dict[str, list[int]]:
    finished = {key for batch in batches for key, failed in batch if not failed}
    return {video: indices for video in "ab" if (indices := sorted(i for v, i in finished if v == video))}


@settings(max_examples=40, deadline=None)
@given(BATCHES, st.randoms(use_true_random=False), st.booleans(), st.sets(st.sampled_from("ab")))
def test_done_clips_do_not_depend_on_order_repetition_leftovers_or_retired_errors(batches, random, leftover, retried):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "detections")
        folder.mkdir()
        again = batches + random.sample(batches, len(batches) // 2)
        random.shuffle(again)
        half = len(again) // 2
        write(folder, again[:half])
        if leftover:
            (folder / ".tmp-7-part-0.parquet").write_bytes(b"PAR1 cut sh")
        known = read_ledger(str(folder), SETTINGS)
        retire_errors(known, str(folder), sorted(retried))
        write(folder, again[half:])

        ledger = read_ledger(str(folder), SETTINGS)
        assert done(ledger) == expected(batches)
        assert len(ledger.finished) == sum(map(len, expected(batches).values()))
        assert ledger.finished["clip_index"].null_count == 0

        resumed = read_ledger(str(folder), SETTINGS, known=known)
        assert done(resumed) == done(ledger)
        assert sorted(resumed.failed["clip_index"].to_pylist()) == sorted(ledger.failed["clip_index"].to_pylist())

        retire_errors(ledger, str(folder), ["a", "b"])
        retired = read_ledger(str(folder), SETTINGS)
        assert len(retired.failed) == 0
        assert done(retired) == done(ledger)
