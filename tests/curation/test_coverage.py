"""A budget is spent on tracks that show different poses."""

import numpy as np
from curation.clips import clip, shaken

from pipelines.curation.coverage import most_diverse
from pipelines.curation.pose_rows import PoseRows, pose_rows
from pipelines.tracks.normalised import limbs


def test_the_same_clip_again_is_chosen_last():
    tracks = [clip(0), shaken(clip(0), 9), *(clip(seed) for seed in range(1, 6))]
    rows = PoseRows.of(*zip(*(pose_rows(limbs(track)) for track in tracks), strict=True))
    chosen = most_diverse(rows, [150] * 7, 6 * 150)
    assert len(chosen) == 6
    assert {2, 3, 4, 5, 6} < set(chosen)


def test_what_does_not_fit_the_budget_is_left_out():
    rows = PoseRows.of(*zip(*(pose_rows(limbs(clip(seed))) for seed in range(3)), strict=True))
    assert set(most_diverse(rows, [1000, 150, 150], 300)) == {1, 2}
    assert most_diverse(rows, [1000, 1000, 1000], 300) == []


def test_tracks_without_a_whole_pose_add_nothing_and_are_no_error():
    unknown = np.full((20, 24), np.nan, np.float16)
    known, step = pose_rows(limbs(clip(0)))
    assert most_diverse(PoseRows.of([unknown, known], [0.1, step]), [20, 150], 160) == [1]
    assert most_diverse(PoseRows.of([unknown], [0.1]), [20], 20) == [0]
