"""`raylift lift` as a user meets it: tracks in, poses out, once each."""

import json
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import ray
from evaluate.lifter_samples import write_lifter
from tracks.track_samples import write_tracks
from train.training_samples import person

from jobs.command_line import main
from pipelines.io import storage
from pipelines.lift.pipeline import size_pool
from pipelines.ray_cluster.pools import Capacity
from pipelines.tracks.lifted_reader import read_lifted
from schemas.configs.lift import LiftWorkersConfig
from schemas.formats.poses import POSES


def raylift(capfd, *arguments):
    """Run the job in this process; returns (exit code, stdout, stderr)."""
    code = main.run_job("lift", [str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def rows(folder):
    files = storage.list_folder(str(folder), ".parquet")
    return pa.concat_tables(storage.read_table(file) for file in files).to_pylist() if files else []


def report(folder):
    return json.loads((folder / "report.json").read_text())


def broken(name):
    track = person(name, 20)
    keypoints = track.keypoints.copy()
    keypoints[3] = np.nan
    return replace(track, keypoints=keypoints)


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_lifter("best.pt")
    write_tracks(tmp_path / "tracks" / "bucket-0.parquet", [person("a", 40), person("b", 1), person("c", 2)])
    write_tracks(tmp_path / "tracks" / "bucket-1.parquet", [person("d", 60)])
    # A process is seconds of starting and milliseconds of lifting.
    return ["model=best.pt", "tracks=tracks", "output=poses", "workers.lifters=1"]


def test_a_file_of_tracks_is_lifted_without_ray(command, tmp_path, capfd):
    code, out, err = raylift(capfd, *command, "tracks=tracks/bucket-1.parquet")
    assert (code, rows(tmp_path / "poses")[0]["frames"]) == (0, 60), out + err
    assert not ray.is_initialized()


@pytest.mark.ray
def test_every_track_is_lifted_once_and_reported(embedded_ray, command, tmp_path, capfd):
    code, out, err = raylift(capfd, *command, "workers.lifters=2")
    assert code == 0
    result = {track.track_id: track for track in read_lifted(str(tmp_path / "poses"))}
    assert {name: len(track) for name, track in result.items()} == {"a": 40, "b": 1, "c": 2, "d": 60}
    assert {track.source for track in result.values()} == {"bucket-0.parquet", "bucket-1.parquet"}
    assert {(track.model, len(track.model_sha256)) for track in result.values()} == {(str(tmp_path / "best.pt"), 64)}
    lines = out.splitlines()
    assert lines[2] == "tracks       4, 0 failed, 2 shorter than what the lifter reads, 0 resampled"
    assert lines[3] == "frames       103 lifted"
    assert lines[4].startswith("reprojection median ")
    assert "note         2 of 4 tracks are shorter than the 9 frames that the lifter reads: their" in out
    assert "predicts no trajectory" not in out
    assert len(lines) <= 40
    assert "103 of 103 frames" in err
    schema = storage.read_schema(storage.list_folder("poses", ".parquet")[0])
    assert schema.remove_metadata().equals(POSES.remove_metadata())
    assert (schema.metadata[b"raylift.format"], schema.metadata[b"raylift.layout"]) == (b"raylift.poses/1", b"h36m17")
    code, out, _ = raylift(capfd, *command, "max_failed=null")
    assert (code, out) == (0, "lift: nothing to do: all 4 tracks are lifted in poses\n")


@pytest.mark.ray
def test_the_job_is_an_mlflow_run(embedded_ray, command, tmp_path, capfd):
    import mlflow

    assert raylift(capfd, *command)[0] == 0
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    (run,) = mlflow.search_runs(search_all_experiments=True, output_format="list")
    assert (run.info.status, run.data.tags["raylift.job"]) == ("FINISHED", "lift")
    assert (run.data.params["model"], run.data.params["workers.lifters"]) == (str(tmp_path / "best.pt"), "1")
    document = report(tmp_path / "poses")
    assert run.data.tags["raylift.model"] == str(tmp_path / "best.pt")
    assert run.data.tags["raylift.model_sha256"] == document["model"]["sha256"]
    assert (len(run.data.tags["raylift.data"]), run.data.tags["raylift.digest"]) == (32, document["digest"])
    assert run.data.metrics["frames"] == 103
    assert run.data.metrics["run/frames_per_s"] > 0
    assert not {"flip", "refine", "stature_m", "trajectory"} & run.data.metrics.keys(), "settings are no metrics"
    name = "quality/reprojection_px/perspective/median"
    assert run.data.metrics[name] == pytest.approx(document["quality"]["reprojection_px.perspective"]["median"])


@pytest.mark.ray
def test_a_track_that_cannot_be_lifted_is_a_row_with_a_reason_and_tried_again(embedded_ray, command, tmp_path, capfd):
    write_tracks(tmp_path / "tracks" / "bucket-2.parquet", [broken("x"), person("y", 30)])
    code, out, _ = raylift(capfd, *command)
    assert code == 1
    assert "tracks       6, 1 failed" in out
    assert "failure      x.mp4: track x (x.mp4): keypoints of frame 3 are not finite" in out
    (failed,) = (row for row in rows("poses") if row["error"])
    assert (failed["track_id"], failed["video"], failed["frames"]) == ("x", "x.mp4", 0)
    assert [track.track_id for track in read_lifted("poses") if track.source == "bucket-2.parquet"] == ["y"]
    code, out, _ = raylift(capfd, *command, "max_failed=1")
    assert (code, report(tmp_path / "poses")["run"]["tracks"]) == (0, 0)
    assert len(rows("poses")) == 6


@pytest.mark.ray
def test_replaced_tracks_are_lifted_again_and_those_from_elsewhere_stay(embedded_ray, command, tmp_path, capfd):
    write_tracks(tmp_path / "more" / "part-9.parquet", [person("m", 12)])
    export = "export=[npz,bvh]"
    assert raylift(capfd, *command, "tracks=more", export)[0] == 0
    assert raylift(capfd, *command, export)[0] == 0
    assert len(rows("poses")) == 5
    # Linked again: bucket-1 has become another file, with another person in it.
    (tmp_path / "tracks" / "bucket-1.parquet").unlink()
    write_tracks(tmp_path / "tracks" / "bucket-1b.parquet", [person("e", 70)])
    assert raylift(capfd, *command, export)[0] == 0
    assert sorted(row["track_id"] for row in rows("poses")) == ["a", "b", "c", "e", "m"]
    assert report(tmp_path / "poses")["run"]["frames"] == 70
    assert report(tmp_path / "poses")["tracks"] == 4
    names = ["a-0-a", "b-0-b", "c-0-c", "e-0-e", "m-0-m"]
    assert sorted(file.stem for file in (tmp_path / "poses" / "npz").iterdir()) == names
    assert sorted(file.stem for file in (tmp_path / "poses" / "bvh").iterdir()) == names


@pytest.mark.ray
def test_exports_may_be_asked_for_later(embedded_ray, command, tmp_path, capfd):
    assert raylift(capfd, *command)[0] == 0
    before = {file: os.stat(file).st_mtime_ns for file in storage.list_folder("poses", ".parquet")}
    assert raylift(capfd, *command, "export=npz")[0] == 0
    assert report(tmp_path / "poses")["run"]["frames"] == 0
    assert {file: os.stat(file).st_mtime_ns for file in storage.list_folder("poses", ".parquet")} == before
    with np.load(tmp_path / "poses" / "npz" / "a-0-a.npz") as result:
        (lifted,) = (track for track in read_lifted("poses") if track.track_id == "a")
        assert (result["positions_m"] == lifted.positions).all()
    assert raylift(capfd, *command, "export=npz")[1].startswith("lift: nothing to do")
    (tmp_path / "poses" / "npz" / "d-0-d.npz").unlink()
    assert raylift(capfd, *command, "export=[bvh,npz]")[0] == 0
    assert len(list((tmp_path / "poses").glob("*/*.???"))) == 8


@pytest.mark.ray
def test_models_and_settings_are_never_mixed_in_one_output(embedded_ray, command, tmp_path, capfd):
    assert raylift(capfd, *command, "tracks=tracks/bucket-1.parquet")[0] == 0
    write_lifter("other.pt", trajectory=False)
    code, _, err = raylift(capfd, *command, "model=other.pt")
    assert code == 2
    assert "poses: was begun with model=best.pt (SHA-256 " in err
    assert "…), now model=other.pt (SHA-256 " in err
    assert err.endswith("give the same settings to continue, or another output\n")
    code, _, err = raylift(capfd, *command, "flip=false")
    assert (code, "poses: was begun with flip=true, now flip=false; give the same settings" in err) == (2, True)
    # The same weights under another name are the same model.
    (tmp_path / "copy.pt").write_bytes((tmp_path / "best.pt").read_bytes())
    assert raylift(capfd, *command, "model=copy.pt")[0] == 0
    assert len(rows("poses")) == 4


@pytest.mark.ray
def test_a_lifter_of_poses_alone_and_of_another_rate_says_so(embedded_ray, command, capfd):
    write_lifter("slow.pt", trajectory=False, fps=25.0)
    code, out, _ = raylift(capfd, *command, "model=slow.pt")
    assert code == 0
    assert "3 resampled" in out or "4 resampled" in out
    assert "note         the lifter predicts no trajectory: poses are relative to the root, where people are" in out
    assert "up to scale and shift of each frame" in out
    assert all(row["trajectory"] is None for row in rows("poses"))


@pytest.mark.ray
def test_no_tracks_are_an_honest_empty_result(embedded_ray, command, tmp_path, capfd):
    write_tracks(tmp_path / "nobody" / "bucket-0.parquet", [])
    code, out, _ = raylift(capfd, *command, "tracks=nobody")
    assert code == 0
    assert "tracks       0, 0 failed" in out
    assert "note         nobody: holds no track, so there is nothing to lift" in out
    assert report(tmp_path / "poses")["tracks"] == 0
    assert raylift(capfd, *command, "tracks=nobody")[1].startswith("lift: nothing to do: all 0 tracks")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["refine=true"], "lift: refine=true: needs a person-centred lifter, such as model=everyday; leave it out"),
        (["smoothness=2"], "lift: smoothness=2: only refined tracks are smoothed; leave it out"),
        (["video=v.mp4"], "lift: tracks, video: give one of them: tracks=… (of raylift label or import_poses) or v"),
        (["tracks=null"], "lift: tracks, video: give one of them"),
        (["tracks=nowhere"], "lift: nowhere: no such file or folder; give the tracks/ folder of an output"),
        (["tracks=coco"], "lift: layout: the keypoints are coco17, the lifter was trained on h36m17; label with"),
        (["model=nowhere.pt"], "lift: model=nowhere.pt: cannot be read: No such file or directory; give the path of a"),
        (
            ["export=[fbx]"],
            "lift: export: fbx: input should be 'npz', 'bvh', 'angles', 'angles_parquet', 'trc', 'c3d', 'glb' or "
            "'openpose'",
        ),
        (["tracks=null", "video=nowhere.mp4"], "lift: video=nowhere.mp4: there is no such file or folder"),
        (
            ["tracks=null", "video=v.mp4", "detector=bright_spot:BrightSpot"],
            "lift: layout: the keypoints are coco17, the lifter was trained on h36m17",
        ),
    ],
)
def test_a_wrong_command_is_one_clear_line_and_exit_code_2(arguments, message, command, tmp_path, capfd):
    write_tracks(tmp_path / "coco" / "a.parquet", [person("a", 5, layout="coco17")])
    (tmp_path / "v.mp4").write_bytes(b"x")
    code, _, err = raylift(capfd, *command, *arguments)
    assert code == 2
    assert err.startswith(message)
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "poses").exists(), "nothing is written before the command is known to be right"


@pytest.mark.parametrize("cpus", [1, 2, 3, 64])
@pytest.mark.parametrize(
    ("gpus", "fields"),
    [(0, {}), (0, {"lifters": 100}), (0, {"cpus_per_lifter": 8}), (8, {"gpus_per_lifter": 1}), (1, {"lifters": 3})],
)
def test_all_lifters_fit_the_machine_at_once(cpus, gpus, fields):
    pool = size_pool(LiftWorkersConfig(**fields), Capacity(cpus, gpus), units=1000)
    assert pool.size * pool.cpus <= cpus + 1e-9
    assert pool.size * pool.gpus <= max(gpus, 1)
    assert pool.size == fields.get("lifters", pool.size)


def test_the_default_fills_the_machine_and_no_process_is_idle():
    assert size_pool(LiftWorkersConfig(), Capacity(64), units=1000).size == 64
    assert size_pool(LiftWorkersConfig(cpus_per_lifter=4), Capacity(64), units=1000).size == 16
    assert size_pool(LiftWorkersConfig(gpus_per_lifter=0.25), Capacity(64, 4), units=1000).size == 16
    assert size_pool(LiftWorkersConfig(), Capacity(64), units=3).size == 3
