"""Whatever order poses files are written in, and whatever killed runs leave behind, the same tracks are done."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tracks.lifted_samples import lifted

from pipelines.io.shard_builder import ShardBuilder
from pipelines.io.shards import FAILED, FINISHED
from pipelines.lift.ledger import read_ledger, remove, settings_of
from schemas.formats.poses import FORMAT, POSES

SETTINGS = settings_of("models:/lifter/1", "0" * 64, False, False)
TRACKS = [("one.parquet", "t0"), ("one.parquet", "t1"), ("one.parquet", "t2"), ("two.parquet", "t3")]
EMPTY = ("timestamps_s", "positions", "interpolated", "keypoint_score", "bone_length_deviation")

# A unit is some tracks of one tracks file, all of them lifted or all failed.
UNITS = st.lists(
    st.tuples(st.sets(st.sampled_from(TRACKS), min_size=1, max_size=3), st.booleans()),
    max_size=6,
)


def write(folder: Path, units: list) -> None:
    for tracks, failed in units:
        for source in sorted({source for source, _ in tracks}):
            ids = sorted(track_id for owner, track_id in tracks if owner == source)
            file = ShardBuilder(POSES, FORMAT, "h36m17", SETTINGS | {"tracks": "tracks", "source": source})
            for track_id in ids:
                row = lifted(2, track_id=track_id, source=source).to_row()
                file.add(row | {key: [] for key in EMPTY} | {"frames": 0, "error": "not finite"} if failed else row)
            file.write(str(folder), FAILED if failed else FINISHED, ids)


def expected(units: list) -> dict[str, set[str]]:
    done: dict[str, set[str]] = {}
    for tracks, failed in units:
        for source, track_id in tracks if not failed else ():
            done.setdefault(source, set()).add(track_id)
    return done


@settings(max_examples=30, deadline=None)
@given(UNITS, st.randoms(use_true_random=False), st.booleans())
def test_done_tracks_do_not_depend_on_order_repetition_leftovers_or_retired_errors(units, random, leftover):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "poses")
        folder.mkdir()
        again = units + random.sample(units, len(units) // 2)
        random.shuffle(again)
        write(folder, again)
        if leftover:
            (folder / ".tmp-7-part-0.parquet").write_bytes(b"PAR1 cut sh")

        ledger = read_ledger(str(folder), SETTINGS)
        assert ledger.done() == expected(units)
        assert {(track.source, track.track_id) for track in ledger.tracks()} == {
            (source, track_id) for source, ids in expected(units).items() for track_id in ids
        }

        remove(file for file in ledger.files if file.failed)
        retired = read_ledger(str(folder), SETTINGS)
        assert retired.failures() == []
        assert retired.done() == ledger.done()
