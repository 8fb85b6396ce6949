"""Which recordings form pairs, and what is said where none do."""

from dataclasses import replace

import pytest
from aligners.two_views import SMALL, tracks
from curation.clips import cut
from tracks.track_samples import write_tracks

from pipelines.train_aligner.plan import plan_training
from schemas.errors import UserError


def plan(tmp_path, of, **data):
    write_tracks(tmp_path / "tracks.parquet", of)
    changed = SMALL.data.model_copy(update=data)
    return plan_training(SMALL.model_copy(update={"tracks": str(tmp_path / "tracks.parquet"), "data": changed}))


def test_tracks_of_one_take_or_of_one_action_are_pairs(tmp_path):
    by_take = plan(tmp_path, tracks())
    assert {name: len(group) for name, group in by_take.training.items()} == {f"S1 act{n}": 2 for n in range(3)}
    assert list(by_take.validation) == ["S2 act3"]
    walks = [replace(track, action=f"walk {number}") for number, track in enumerate(tracks())]
    by_action = plan(tmp_path, walks, pairs="action")
    assert {name: len(group) for name, group in by_action.training.items()} == {"walk": 6}


@pytest.mark.parametrize(
    ("of", "data", "message"),
    [
        (
            tracks()[:1],
            {"validation_subjects": ()},
            "no two of them, 1 s long or more, have the same subject and action",
        ),
        (tracks()[::2], {"validation_subjects": ()}, "give a second recording, or the column action"),
        ([replace(track, action=None) for track in tracks()], {}, r"\(0 of 8 have an action at all\)"),
        ([cut(track, 0, 12) for track in tracks()], {}, "no two of them, 1 s long or more"),
        (tracks(), {"validation_subjects": ("S9",)}, "data.validation_subjects: no track is of 'S9'"),
        (tracks()[:7], {}, "no two tracks of theirs form a pair"),
    ],
)
def test_tracks_without_pairs_are_refused_in_one_line(tmp_path, of, data, message):
    with pytest.raises(UserError, match=message):
        plan(tmp_path, of, **data)


def test_batches_must_be_divided_among_the_workers(tmp_path):
    write_tracks(tmp_path / "tracks.parquet", tracks())
    resources = SMALL.resources.model_copy(update={"num_workers": 4})
    with pytest.raises(UserError, match=r"optimization.batch_pairs=2: cannot be divided among 4 workers"):
        plan_training(SMALL.model_copy(update={"tracks": str(tmp_path / "tracks.parquet"), "resources": resources}))
