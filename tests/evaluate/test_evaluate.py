"""Whole evaluations: the protocol's numbers against plain loops over frames, notes, and every error."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluate.lifter_samples import last_layer, make_lifter
from scipy.spatial.transform import Rotation
from train.training_samples import INTRINSICS, person

from pipelines.evaluate import track_scores
from pipelines.evaluate.evaluation import evaluate
from pipelines.evaluate.track_scores import score_tracks
from pipelines.lifters.inference import lift
from pipelines.synthetic.cameras import project
from schemas.errors import UserError
from schemas.layouts import layout

H36M = layout("h36m17")
MIRROR = list(H36M.mirror)


def corpus():
    """Two subjects, two takes of one action, one action in one word; lengths differ."""
    return [
        person("a", 40, action="Walking 1"),
        person("b", 25, action="Walking 2"),
        person("c", 30, action="Sitting"),
        person("d", 60, subject="S2", action="Walking 1"),
        person("e", 12, subject="S2", action="Sitting"),
    ]


def known(mean):
    assert mean is not None
    return mean


def unlabeled(track):
    return replace(track, positions=None, positions_layout=None)


def lift_plainly(model, track, flip):
    """Pose and root of every frame, one frame at a time, from padding written out."""
    screen = (2 * track.keypoints - [track.width, track.height]) / track.width
    sides = [np.array([1, 1]), np.array([-1, 1])] if flip else [np.array([1, 1])]
    poses, roots = [], []
    for sign in sides:
        padded = np.pad(screen, ((4, 4), (0, 0), (0, 0)), mode="edge") * sign
        padded = padded if sign[0] > 0 else padded[:, MIRROR]
        windows = torch.tensor(np.stack([padded[i : i + 9] for i in range(len(screen))]), dtype=torch.float32)
        with torch.inference_mode():
            pose, root = (part.double().numpy()[:, 0] for part in model(windows))
        unmirrored = np.array([sign[0], 1, 1])
        poses.append((pose if sign[0] > 0 else pose[:, MIRROR]) * unmirrored)
        roots.append(root * unmirrored)
    return np.mean(poses, 0), np.mean(roots, 0)


def distances_mm(a, b):
    return 1000 * np.sqrt(((a - b) ** 2).sum(-1))


def aligned(pose, target):
    """Frame by frame the closest similar pose, its rotation from SciPy's solution of Wahba's problem."""
    out = []
    for p, y in zip(pose - pose.mean(1, keepdims=True), target - target.mean(1, keepdims=True), strict=True):
        turned = Rotation.align_vectors(y, p)[0].apply(p)
        out.append(turned * (turned * y).sum() / (p * p).sum())
    return np.array(out) + target.mean(1, keepdims=True)


def score_plainly(model, track, flip):
    pose, root = lift_plainly(model, track, flip)
    target = track.positions.astype(float) - track.positions[:, :1]
    scale = (pose * target).sum((1, 2), keepdims=True) / (pose * pose).sum((1, 2), keepdims=True)
    errors = distances_mm(pose, target)
    child, parent = np.array(H36M.bones).T
    lengths, true = (np.sqrt(((x[:, child] - x[:, parent]) ** 2).sum(-1)) for x in (pose, target))
    projected = project(INTRINSICS, pose + root)
    return {
        "mpjpe_mm": errors.mean(),
        "p_mpjpe_mm": distances_mm(aligned(pose, target), target).mean(),
        "n_mpjpe_mm": distances_mm(scale * pose, target).mean(),
        "mpjve_mm": distances_mm(np.diff(pose, axis=0), np.diff(target, axis=0)).mean(),
        "pck_150mm": 100 * (errors < 150).mean(),
        "auc_150mm": np.mean([100 * (errors < 5 * step).mean() for step in range(31)]),
        "bone_length_deviation": (lengths.std(0) / lengths.mean(0)).mean(),
        "bone_length_error_mm": 1000 * np.abs(lengths.mean(0) - true.mean(0)).mean(),
        "trajectory_mm": distances_mm(root.reshape(-1, 3), track.positions[:, 0]).mean(),
        "reprojection_px": np.sqrt(((projected - track.keypoints) ** 2).sum(-1)).mean(),
    }


def mean(dicts, weights):
    return {name: np.average([d[name] for d in dicts], weights=weights) for name in dicts[0]}


@pytest.mark.parametrize("flip", [True, False])
def test_the_numbers_are_those_of_plain_loops(flip):
    model, card = make_lifter()
    tracks = corpus()
    evaluation = evaluate(model, card, tracks, flip=flip)
    plain = {track.track_id: score_plainly(model, track, flip) for track in tracks}
    for scored in evaluation.tracks:
        assert scored.score.metrics == pytest.approx(plain[scored.track_id], rel=1e-4, abs=1e-3)
    (table,) = evaluation.tables
    walking = mean([plain[name] for name in "abd"], [40, 25, 60])
    sitting = mean([plain[name] for name in "ce"], [30, 12])
    assert list(table.actions) == ["Walking", "Sitting"]
    assert table.actions["Walking"].metrics == pytest.approx(walking, rel=1e-4, abs=1e-3)
    assert table.actions["Sitting"].metrics == pytest.approx(sitting, rel=1e-4, abs=1e-3)
    assert known(evaluation.average).metrics == pytest.approx(mean([walking, sitting], [1, 1]), rel=1e-4, abs=1e-3)
    everything = mean(list(plain.values()), [len(track) for track in tracks])
    assert known(evaluation.overall).metrics == pytest.approx(everything, rel=1e-4, abs=1e-3)
    assert (known(evaluation.overall).frames, evaluation.unlabeled, evaluation.notes) == (167, None, [])


def test_per_joint_errors_average_to_the_pose_error():
    model, card = make_lifter()
    overall = known(evaluate(model, card, corpus()).overall)
    assert len(overall.per_joint_mm) == 17
    assert np.mean(overall.per_joint_mm) == pytest.approx(overall.metrics["mpjpe_mm"])


def test_labels_that_are_the_predictions_give_no_error():
    model, card = make_lifter()
    with torch.no_grad():
        for parameter in last_layer(model.pose).parameters():
            parameter[:3] = 0  # the root
    tracks = corpus()
    screens = [torch.tensor((2 * t.keypoints - [t.width, t.height]) / t.width, dtype=torch.float32) for t in tracks]
    positions = [(pose + root).numpy() for pose, root in lift(model, screens, flip=True) if root is not None]
    perfect = [replace(track, positions=labels) for track, labels in zip(tracks, positions, strict=True)]
    metrics = known(evaluate(model, card, perfect).average).metrics
    names = ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm", "trajectory_mm", "bone_length_error_mm")
    assert [metrics[name] for name in names] == pytest.approx([0] * 6, abs=2e-3)
    assert metrics["pck_150mm"] == 100


def test_by_subject_each_table_is_that_of_the_subject_alone():
    model, card = make_lifter()
    evaluation = evaluate(model, card, corpus(), by_subject=True)
    assert [table.subject for table in evaluation.tables] == ["S1", "S2"]
    for table in evaluation.tables:
        alone = evaluate(model, card, [t for t in corpus() if t.subject == table.subject])
        assert table.average == alone.tables[0].average
    subjects = [table.average.metrics for table in evaluation.tables]
    assert known(evaluation.average).metrics == pytest.approx(mean(subjects, [1, 1]))
    assert evaluation.overall == evaluate(model, card, corpus()).overall


def test_unlabeled_tracks_alone():
    model, card = make_lifter()
    evaluation = evaluate(model, card, map(unlabeled, corpus()))
    assert (evaluation.tables, evaluation.average, evaluation.overall) == ([], None, None)
    plain = [score_plainly(model, track, flip=True) for track in corpus()]
    expected = mean(plain, [len(track) for track in corpus()])
    names = ("bone_length_deviation", "reprojection_px")
    assert known(evaluation.unlabeled).metrics == pytest.approx({name: expected[name] for name in names}, rel=1e-4)
    assert evaluation.notes == [
        "5 of 5 tracks have no positions: bone lengths and, where it can be measured, reprojection error only"
    ]


def test_labeled_and_unlabeled_tracks_are_scored_apart():
    model, card = make_lifter()
    labeled, more = corpus(), [unlabeled(person("u", 33))]
    evaluation = evaluate(model, card, more + labeled)
    assert evaluation.overall == evaluate(model, card, labeled).overall
    assert evaluation.unlabeled == evaluate(model, card, more).unlabeled


def test_notes_say_what_is_special():
    model, card = make_lifter()
    tracks = [
        person("short", 5),
        replace(person("fast", 80), fps=100.0, timestamps_s=np.arange(80) / 100),
        replace(person("blind", 20), intrinsics=None, intrinsics_provenance="none"),
        replace(person("assumed", 20), intrinsics_provenance="assumed_fov"),
    ]
    evaluation = evaluate(model, card, tracks)
    assert evaluation.notes == [
        "1 of 4 tracks are shorter than the 9 frames that the lifter reads: their first and last frames are repeated",
        "1 of 4 tracks were resampled to the lifter's 50 frames/s",
        "1 of 4 tracks have no intrinsics: no reprojection error of theirs",
        "1 of 4 tracks have assumed intrinsics: their reprojection error says little",
    ]
    assert [t.score.frames for t in evaluation.tracks] == [5, 40, 20, 20]
    assert ["reprojection_px" in t.score.metrics for t in evaluation.tracks] == [True, True, False, True]


def test_a_lifter_without_trajectory_has_no_reprojection_error():
    model, card = make_lifter(trajectory=False)
    evaluation = evaluate(model, card, corpus())
    assert evaluation.notes == ["no reprojection error: the lifter predicts no trajectory (jobs.train trajectory=true)"]
    assert not {"trajectory_mm", "reprojection_px"} & known(evaluation.overall).metrics.keys()


def test_scores_are_read_when_the_lifter_reads_them():
    model, card = make_lifter(scores=True)
    sure, unsure = corpus(), [replace(track, scores=track.scores * 0) for track in corpus()]
    assert evaluate(model, card, sure).overall != evaluate(model, card, unsure).overall


def test_one_frame_has_no_velocity_and_no_frame_is_no_track():
    model, card = make_lifter()
    one, none = (person(name, frames) for name, frames in (("one", 1), ("none", 0)))
    evaluation = evaluate(model, card, [one, none])
    assert [track.track_id for track in evaluation.tracks] == ["one"]
    assert "mpjve_mm" not in known(evaluation.overall).metrics


def test_tracks_are_read_a_batch_at_a_time(monkeypatch):
    model, card = make_lifter()
    whole = evaluate(model, card, corpus())
    monkeypatch.setattr(track_scores, "BATCH_FRAMES", 50)
    taken = []

    def reading():
        for track in corpus():
            taken.append(track.track_id)
            yield track

    scores = score_tracks(model, card, reading(), flip=True)
    assert (next(scores).track_id, taken) == ("a", ["a", "b"])  # b does not fit, and waits
    assert [score.track_id for score in scores] == ["b", "c", "d", "e"]
    batched = evaluate(model, card, corpus())
    assert known(batched.overall).metrics == pytest.approx(known(whole.overall).metrics, rel=1e-5)


def spoiled(track, field, value):
    values = getattr(track, field).copy()
    values[3, 2] = value
    return replace(track, **{field: values})


@pytest.mark.parametrize(
    ("track", "message"),
    [
        (
            replace(person("x", 20), layout="coco17"),
            r"track x \(x.mp4\): keypoints are coco17, which lacks pelvis of h36m17",
        ),
        (replace(person("x", 20), positions_layout="mpii16"), "positions are mpii16, the lifter predicts h36m17"),
        (spoiled(person("x", 20), "keypoints", np.nan), "keypoints of frame 3 are not finite; mend or remove"),
        (spoiled(person("x", 20), "positions", np.inf), "positions of frame 3 are not finite"),
        (
            replace(person("x", 20), fps=float("nan"), timestamps_s=np.zeros(20)),
            "track x: its frame rate is unknown .*; write the track again with its fps",
        ),
        (person("x", 0), "data: the tracks have no frame"),
    ],
)
def test_bad_tracks_are_one_clear_line(track, message):
    with pytest.raises(UserError, match=message) as error:
        evaluate(*make_lifter(), [track])
    assert "\n" not in str(error.value)


def test_a_lifter_that_predicts_nan_is_an_error():
    model, card = make_lifter()
    with torch.no_grad():
        last_layer(model.pose).weight[0, 0] = float("nan")
    with pytest.raises(UserError, match="model: predicts numbers that are not finite for track a; train it again"):
        evaluate(model, card, corpus())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that PyTorch can use")
def test_a_gpu_gives_the_same_numbers():
    model, card = make_lifter()
    expected = known(evaluate(model, card, corpus()).overall).metrics
    assert known(evaluate(model.to("cuda"), card, corpus()).overall).metrics == pytest.approx(expected, rel=1e-3)
