"""`raylift evaluate` as a user meets it."""

import hashlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from evaluate.lifter_samples import make_lifter, write_lifter
from mlflow_store import inputs_of, own_artifacts
from train.training_samples import person, write

from jobs.command_line import main
from pipelines.evaluate.evaluation import evaluate
from pipelines.lifters.checkpoint import save_lifter


def raylift(capfd, *arguments):
    """Run the job in this process; returns (exit code, stdout, stderr)."""
    code = main.run_job("evaluate", [str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def people():
    return [
        person("a", 40, action="Walking 1"),
        person("b", 5, action="Walking 2"),
        person("c", 30, action="Sitting"),
        person("d", 60, subject="S2", action="Walking 1"),
        person("e", 12, subject="S2", action="Sitting"),
    ]


def unlabeled(track):
    return replace(track, positions=None, positions_layout=None)


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lifter("lifter/best.pt")
    write(tmp_path / "tracks", *people())
    write(tmp_path / "free", *map(unlabeled, people()))
    return ["model=lifter/best.pt", "data=tracks"]


def read(path):
    return json.loads(path.read_text())


def test_people_that_the_lifter_was_trained_on_are_named(command, tmp_path, capfd):
    model, card = make_lifter()
    card = card.model_copy(update={"lineage": {"subjects": '["S2", "S9"]'}})
    save_lifter("lifter/best.pt", model, card)
    code, out, _ = raylift(capfd, *command)
    assert code == 0
    assert "the lifter was trained on S2: scores of these people say little about others" in out
    code, out, _ = raylift(capfd, *command, "subjects=[S1]")
    assert "the lifter was trained on" not in out


def test_takes_of_one_action_are_joined_by_a_pattern(command, tmp_path, capfd):
    write(tmp_path / "takes", *(person(name, 20, action=name) for name in ("walk_01", "walk_02")))
    code, out, _ = raylift(capfd, command[0], "data=takes")
    assert code == 0
    assert "walk_01 and walk_02 count as two actions; action_pattern=[a-zA-Z]+ makes them takes of one" in out
    code, out, _ = raylift(capfd, command[0], "data=takes", "action_pattern=[a-z]+")
    assert code == 0
    assert "count as two actions" not in out
    report = read(tmp_path / "lifter" / "evaluation_best" / "metrics.json")
    assert list(report["tables"][0]["actions"]) == ["walk"]
    assert raylift(capfd, *command, "action_pattern=[a-")[0] == 2


def test_the_table_and_the_file_hold_the_numbers(command, tmp_path, capfd):
    code, out, _ = raylift(capfd, *command)
    assert code == 0
    expected = evaluate(*make_lifter(), people())
    assert expected.average is not None
    assert expected.overall is not None
    document = read(tmp_path / "lifter" / "evaluation_best" / "metrics.json")
    assert document["average"]["metrics"] == pytest.approx(expected.average.metrics)
    assert document["overall"]["metrics"] == pytest.approx(expected.overall.metrics)
    assert list(document["average"]["per_joint_mm"].values()) == pytest.approx(expected.average.per_joint_mm)
    assert list(document["average"]["per_joint_mm"])[:2] == ["pelvis", "right_hip"]
    lines = out.splitlines()
    assert lines[:2] == [
        "temporal_conv of 9 frames at 50 frames/s, h36m17 → h36m17, averaged with the mirror image's",
        "5 labeled and 0 unlabeled tracks, 147 frames",
    ]
    assert lines[3].split() == ["frames", "P1", "P2", "P3", "MPJVE", "PCK", "AUC"]
    for line, mean in zip(
        lines[4:8],
        [*expected.tables[0].actions.values(), expected.average, expected.overall],
        strict=True,
    ):
        metrics = mean.metrics
        p1, p2, p3 = (f"{metrics[name]:.1f}" for name in ("mpjpe_mm", "p_mpjpe_mm", "n_mpjpe_mm"))
        mpjve, pck = f"{metrics['mpjve_mm']:.2f}", f"{metrics['pck_150mm']:.1f}"
        assert line.split()[-7:-1] == [str(mean.frames), p1, p2, p3, mpjve, pck]
    assert [line.split("  ")[0] for line in lines[4:8]] == ["Walking", "Sitting", "average", "all frames"]
    assert f"reprojection error {expected.average.metrics['reprojection_px']:.1f} px" in out
    assert "note: 1 of 5 tracks are shorter than the 9 frames that the lifter reads" in out
    assert lines[-1] == "output: lifter/evaluation_best/metrics.json"
    assert len(lines) <= 40


def test_the_file_says_what_was_scored(command, tmp_path, capfd):
    assert raylift(capfd, *command, "output=out", "subjects=[S1]", "actions=[Walking]", "flip=false")[0] == 0
    document = read(tmp_path / "out" / "metrics.json")
    assert (document["format"], document["model"], document["flip"]) == (
        "raylift.metrics/1",
        f"{tmp_path}/lifter/best.pt",
        False,
    )
    assert (document["card"]["window"]["inputs"], document["card"]["format"]) == (9, "raylift.lifter/2")
    data = document["data"]
    assert (data["subjects"], data["labeled_tracks"], data["frames"], len(data["digest"])) == (["S1"], 2, 45, 32)
    assert [(t["track_id"], t["padded"], t["score"]["action"]) for t in document["tracks"]] == [
        *(("a", False, "Walking 1"), ("b", True, "Walking 2")),
    ]
    assert not (tmp_path / "lifter" / "evaluation_best").exists()


def test_by_subject_prints_a_table_for_each_subject(command, tmp_path, capfd):
    code, out, _ = raylift(capfd, *command, "output=out", "by_subject=true")
    assert code == 0
    labels = [line.split("  ")[0] for line in out.splitlines()[4:12]]
    assert labels == [
        *("S1 Walking", "S1 Sitting", "S2 Walking", "S2 Sitting", "S1 average", "S2 average", "average", "all frames"),
    ]
    document = read(tmp_path / "out" / "metrics.json")
    first, second = (table["average"]["metrics"]["mpjpe_mm"] for table in document["tables"])
    assert document["average"]["metrics"]["mpjpe_mm"] == pytest.approx((first + second) / 2)


def test_unlabeled_tracks(command, tmp_path, capfd):
    code, out, _ = raylift(capfd, "model=lifter/best.pt", "data=free", "output=out")
    assert code == 0
    document = read(tmp_path / "out" / "metrics.json")
    metrics = document["unlabeled"]["metrics"]
    assert (document["average"], document["overall"], document["tables"]) == (None, None, [])
    assert out.splitlines()[1:4] == [
        "0 labeled and 5 unlabeled tracks, 147 frames",
        f"unlabeled: bone lengths vary by {metrics['bone_length_deviation']:.1%}, "
        f"reprojection error {metrics['reprojection_px']:.1f} px",
        "note: 5 of 5 tracks have no positions: bone lengths and, where it can be measured, reprojection error only",
    ]


def test_the_job_is_an_mlflow_run(command, tmp_path, capfd):
    import mlflow

    write(tmp_path / "odd", person("x", 20, action="Süß&saltig"), *people())
    assert raylift(capfd, "model=lifter/best.pt", "data=odd", "output=out")[0] == 0
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    (run,) = mlflow.MlflowClient().search_runs([e.experiment_id for e in mlflow.search_experiments()])
    file = read(tmp_path / "out" / "metrics.json")
    assert (run.info.status, run.info.run_name) == ("FINISHED", "evaluate out")
    assert run.data.params["model"] == f"{tmp_path}/lifter/best.pt"
    assert run.data.metrics["test/mpjpe_mm"] == pytest.approx(file["average"]["metrics"]["mpjpe_mm"])
    walking = file["tables"][0]["actions"]["Walking"]
    assert run.data.metrics["action/Walking/p_mpjpe_mm"] == pytest.approx(walking["metrics"]["p_mpjpe_mm"])
    assert {"action/S_saltig/mpjpe_mm", "all_frames_joints/left_knee_mm"} <= run.data.metrics.keys()
    assert run.data.tags["raylift.data"] == file["data"]["digest"]
    content = (tmp_path / "lifter" / "best.pt").read_bytes()
    assert run.data.tags["raylift.model_sha256"] == hashlib.sha256(content).hexdigest()
    kept = ["actions.json", "evaluation.html", "figures", "metrics.json", "tracks.json"]
    assert own_artifacts(run.info.run_id) == kept
    figures = mlflow.MlflowClient().list_artifacts(run.info.run_id, "figures")
    assert [file.path for file in figures] == ["figures/actions.png", "figures/joints.png"]
    compared = mlflow.load_table("actions.json", run_ids=[run.info.run_id])
    assert compared.set_index("action").loc["Walking", "p_mpjpe_mm"] == pytest.approx(walking["metrics"]["p_mpjpe_mm"])
    by_track = mlflow.load_table("tracks.json", run_ids=[run.info.run_id])
    (tested,) = inputs_of(run.info.run_id)
    for table in (compared, by_track):
        assert set(zip(table["dataset"], table["dataset_digest"], strict=True)) == {
            (tested.dataset.name, tested.dataset.digest)
        }
    assert by_track["frames"].sum() == file["data"]["frames"]
    assert sorted(by_track["mpjpe_mm"].dropna()) == pytest.approx(
        sorted(t["score"]["metrics"]["mpjpe_mm"] for t in file["tracks"] if t["labeled"])
    )
    assert "Süß&amp;saltig" in (tmp_path / "out" / "evaluation.html").read_text()


def test_many_actions_fill_no_more_than_a_screen(command, tmp_path, capfd):
    write(tmp_path / "many", *(person(f"t{n}", 3, action=f"Action{n}") for n in range(40)))
    code, out, _ = raylift(capfd, "model=lifter/best.pt", "data=many", "output=out")
    assert (code, "… and 22 rows more, all in metrics.json" in out) == (0, True)
    assert len(out.splitlines()) <= 40
    assert len(read(tmp_path / "out" / "metrics.json")["tables"][0]["actions"]) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=tracks"], "model: is required; give model=…"),
        (["model=lifter/best.pt"], "data: is required; give data=…"),
        (["model=none.pt", "data=tracks"], "model=none.pt: cannot be read: No such file or directory; give the"),
        (["model=text.pt", "data=tracks"], "text.pt: is damaged or no checkpoint; copy it again"),
        (["model=half.pt", "data=tracks"], "half.pt: is damaged or no checkpoint; copy it again"),
        (
            ["model=lifter/best.pt", "data=none"],
            "data=none: no such file or folder; give the tracks/ folder of an output",
        ),
        (
            ["model=lifter/best.pt", "data=lifter"],
            "data=lifter: the folder holds no tracks files (*.parquet); write some",
        ),
        (["model=lifter/best.pt", "data=empty"], "data=empty: the tracks files hold no track; give others"),
        (
            ["model=lifter/best.pt", "data=coco"],
            "layout: the keypoints are coco17, the lifter was trained on h36m17; label with h36m17, or take",
        ),
        (
            ["model=lifter/best.pt", "data=mpii"],
            "layout: the positions are mpii16, the lifter predicts h36m17; give tracks labeled in h36m17, or take a "
            "lifter that predicts mpii16",
        ),
        (["model=lifter/best.pt", "data=nan"], "track x (x.mp4): keypoints of frame 3 are not finite; mend or remove"),
        (["model=lifter/best.pt", "data=rateless"], "track x: its frame rate is unknown (fps is "),
        (
            ["model=lifter/best.pt", "data=tracks", "subjects=[S3]"],
            "subjects: data=tracks has no track of subject S3; there are: S1, S2",
        ),
        (
            ["model=lifter/best.pt", "data=free", "by_subject=true"],
            "by_subject=true: none of 5 tracks has positions to compare with; leave it out, or give labeled tracks",
        ),
        (["model=lifter/best.pt", "data=tracks", "device=cuda:77"], "device=cuda:77: this machine has "),
        (
            ["model=lifter/best.pt", "data=tracks", "device=gpu"],
            "device=gpu: give auto, cpu, cuda, or a GPU",
        ),
        (["model=lifter/best.pt", "data=tracks", "output=text.pt"], "output=text.pt: the folder cannot be written: "),
        (["model=memory://best.pt", "data=tracks"], "output: is required for a model that is not on this machine"),
    ],
)
def test_a_wrong_command_is_one_clear_line(command, arguments, message, tmp_path, capfd):
    (tmp_path / "text.pt").write_text("no checkpoint")
    (tmp_path / "half.pt").write_bytes((tmp_path / "lifter" / "best.pt").read_bytes()[:5000])
    write_lifter("memory://best.pt")
    nan = person("x", 20)
    nan.keypoints[3, 2] = np.nan
    write(tmp_path / "nan", nan)
    write(tmp_path / "empty")
    write(tmp_path / "coco", person("x", 20, layout="coco17"))
    write(tmp_path / "mpii", person("x", 20, positions_layout="mpii16"))
    write(tmp_path / "rateless", person("x", 20, fps=float("nan"), timestamps_s=np.zeros(20)))
    code, _, err = raylift(capfd, *arguments)
    assert code == 2
    assert err.startswith(f"evaluate: {message}")
    assert len(err.splitlines()) == 1


def test_help_lists_the_fields(capfd):
    _, out, _ = raylift(capfd, "--help")
    assert "model=<str>  (required)" in out
    assert "flip=<bool>  (default True)" in out
