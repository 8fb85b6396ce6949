import pytest

from pipelines.pose.protocol import SequenceScore, action_tables, frame_weighted_mean


def score(subject, action, frames, mpjpe_mm, **metrics):
    return SequenceScore(subject, action, frames, {"mpjpe_mm": mpjpe_mm} | metrics, (mpjpe_mm, 2 * mpjpe_mm))


SCORES = [
    score("S9", "Walking", 100, 30.0),
    score("S9", "Walking 1", 300, 50.0),
    score("S11", "Sitting", 50, 80.0),
    score("S11", "SittingDown 1", 50, 100.0),
]


def test_actions_are_weighted_by_frames_and_their_average_is_not():
    (table,) = action_tables(SCORES)
    assert table.subject is None
    assert {key: mean.metrics["mpjpe_mm"] for key, mean in table.actions.items()} == {
        "Walking": pytest.approx(45),
        "Sitting": pytest.approx(80),
        "SittingDown": pytest.approx(100),
    }
    assert table.average.metrics["mpjpe_mm"] == pytest.approx(75)
    assert table.overall.metrics["mpjpe_mm"] == pytest.approx((3000 + 15000 + 4000 + 5000) / 500)
    assert table.overall == frame_weighted_mean(SCORES)
    assert (table.average.frames, table.actions["Walking"].frames) == (500, 400)


@pytest.mark.parametrize(
    ("pattern", "actions"),
    [("[a-z]+", ["walk", "02_05"]), (r".+?(?=_\d+$)", ["walk", "02"]), ("[^ ]+", ["walk_01", "walk_02", "02_05"])],
)
def test_a_pattern_says_which_names_are_takes_of_one_action(pattern, actions):
    scores = [score("S1", name, 10, 50.0) for name in ("walk_01", "walk_02", "02_05")]
    (table,) = action_tables(scores, action_pattern=pattern)
    assert list(table.actions) == actions


def test_joints_are_averaged_like_metrics():
    (table,) = action_tables(SCORES)
    assert table.actions["Walking"].per_joint_mm == pytest.approx((45, 90))
    assert table.average.per_joint_mm == pytest.approx((75, 150))


def test_by_subject_averages_the_actions_of_each():
    first, second = action_tables([*SCORES, score("S9", "Sitting", 100, 60.0)], by_subject=True)
    assert (first.subject, second.subject) == ("S9", "S11")
    assert list(first.actions) == ["Walking", "Sitting"]
    assert first.average.metrics["mpjpe_mm"] == pytest.approx((45 + 60) / 2)
    assert second.average.metrics["mpjpe_mm"] == pytest.approx(90)


def test_metrics_that_a_sequence_lacks_are_left_out_of_the_mean():
    scores = [score("S9", "Walking", 1, 30.0), score("S9", "Walking", 9, 30.0, mpjve_mm=2.0)]
    assert frame_weighted_mean(scores).metrics["mpjve_mm"] == pytest.approx(2)
