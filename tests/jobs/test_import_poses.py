"""`raylift import_poses` as a user meets it."""

import os

import numpy as np
import pytest
from datasets.moving_people import walking
from mlflow_store import datasets_of

from jobs.command_line import main
from pipelines.tracks.keypoint_reader import read_tracks


def raylift(capfd, *arguments):
    """Run the job in this process; returns (exit code, stdout, stderr)."""
    code = main.run_job("import_poses", [str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    motion = walking(50)
    np.savez("mocap.npz", positions_3d={"S1": {"walk": motion}, "S2": {"run": motion[:20]}})  # pyright: ignore[reportArgumentType]
    return ["source=mocap17", "source.positions=mocap.npz", "source.views=2", "output=out"]


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.*")) if path.name != ".lock"}


def test_tracks_are_imported_once(command, tmp_path, capfd):
    code, out, _ = raylift(capfd, *command)
    assert code == 0
    assert out.startswith("tracks       4 in layout h36m17: 0 of them unlabeled\nframes       140 in ")
    assert (
        "subjects     frames of each: S1 100, S2 40\noutput       out/tracks, out/report.json (1 files of tracks)\n"
        in out
    )
    assert [(t.subject, t.camera, len(t)) for t in read_tracks("out/tracks")] == [
        *(("S1", "C0", 50), ("S1", "C1", 50), ("S2", "C0", 20), ("S2", "C1", 20)),
    ]
    written = files(tmp_path / "out")
    assert raylift(capfd, *command)[:2] == (0, "import_poses: nothing to do: out holds all tracks of this source\n")
    assert files(tmp_path / "out") == written


def test_a_killed_import_is_done_again_to_the_same_files(command, tmp_path, capfd, monkeypatch):
    assert raylift(capfd, *command)[0] == 0
    tracks = files(tmp_path / "out" / "tracks")
    (tmp_path / "out" / "report.json").unlink()
    (tmp_path / "out" / "tracks" / ".tmp-1-part.parquet").write_bytes(b"x")
    code, out, _ = raylift(capfd, *command)
    assert (code, "nothing to do" in out) == (0, False)
    assert files(tmp_path / "out" / "tracks") == tracks
    (tmp_path / "out" / "tracks" / next(iter(tracks))).unlink()
    assert raylift(capfd, *command)[0] == 0
    assert files(tmp_path / "out" / "tracks") == tracks


def test_one_output_holds_one_import(command, tmp_path, capfd):
    assert raylift(capfd, *command)[0] == 0
    code, _, err = raylift(capfd, *command, "source.noise_px=3")
    assert code == 2
    assert err == (
        "import_poses: output=out: was begun with source.noise_px=5.0, now source.noise_px=3.0; "
        "give the same settings to continue, or another output\n"
    )
    np.savez("mocap.npz", positions_3d={"S1": {}})  # pyright: ignore[reportArgumentType]
    code, _, err = raylift(capfd, *command)
    assert (code, "was begun with source.positions=sha256:" in err) == (2, True)


def test_a_moved_source_is_the_same_import(command, tmp_path, capfd):
    assert raylift(capfd, *command)[0] == 0
    (tmp_path / "moved").mkdir()
    (tmp_path / "mocap.npz").rename(tmp_path / "moved" / "mocap.npz")
    code, out, _ = raylift(capfd, *command, "source.positions=moved/mocap.npz")
    assert (code, "nothing to do" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["output=o"], "source: is required; give source=…"),
        (["output=o", "source.views=2"], "source.name: is required; give source.name=…"),
        (["output=o", "source=mocap"], "source.name: unknown plug-in 'mocap'; known: human36m, humaneva15, mocap17"),
        (["output=o", "source=mocap17"], "source.positions: is required; give source.positions=…"),
        (
            ["output=o", "source=mocap17", "source.positions=none.npz"],
            "source.positions=none.npz: cannot be read: No such file or directory",
        ),
        (["output=o", "source=mocap17", "source.positions=text.npz"], "text.npz: is not a whole npz file: "),
        (
            ["output=o", "source=mocap17", "source.positions=mocap.npz", "source.distance_m=[6, 4]"],
            "source.distance_m=[6, 4]: must be least and greatest",
        ),
        (
            ["output=o", "source=mocap17", "source.positions=mocap.npz", "source.subject=S1"],
            "source.subject=S1: there is no such field; did you mean source.subjects?",
        ),
        (
            ["output=o", "source=mocap17", "source.positions=empty.npz"],
            "source=mocap17: its files give no tracks",
        ),
        (["output=text.npz/o", "source=mocap17", "source.positions=mocap.npz"], "output=text.npz/o: the folder cannot"),
    ],
)
def test_a_wrong_command_is_one_clear_line_and_writes_nothing(command, arguments, message, tmp_path, capfd):
    (tmp_path / "text.npz").write_text("no zip")
    np.savez("empty.npz", positions_3d={})  # pyright: ignore[reportArgumentType]
    code, _, err = raylift(capfd, *arguments)
    assert code == 2
    assert err.startswith(f"import_poses: {message}")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_help_lists_the_options_of_every_source(capfd):
    _, out, _ = raylift(capfd, "--help")
    for name in ("human36m", "humaneva15", "mpi_inf_3dhp", "mocap17", "synthetic"):
        assert f"options of {name}:" in out
    assert "source.noise_px=<float>  (default 5.0)" in out
    assert "source=<name>  (required)" in out


def test_the_job_is_an_mlflow_run(command, capfd):
    import mlflow

    assert raylift(capfd, *command)[0] == 0
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    (run,) = mlflow.MlflowClient().search_runs([e.experiment_id for e in mlflow.search_experiments()])
    assert (run.info.status, run.data.tags["raylift.job"]) == ("FINISHED", "import_poses")
    assert run.data.params["source.name"] == "mocap17"
    assert run.data.params["source.noise_px"] == "5.0"
    assert (run.data.metrics["tracks"], run.data.metrics["labeled_frames"]) == (4, 140)
    assert len(run.data.tags["raylift.digest"]) == 32
    ((kind, profile),) = datasets_of("import_poses").items()
    assert (kind[:2], profile) == (("importing", "raylift.files"), {"source": "mocap17", "files": 1})


MOCAP = ("source=mocap17", "source.noise_px=0")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((*MOCAP, "source.positions=m.npz"), 0, ""),
        ((*MOCAP, "source.positions=swapped.npz"), 0, ""),
        ((*MOCAP, "source.positions=mm.npz"), 0, "note         source.unit: people are 1,634 units tall, taken as mm"),
        ((*MOCAP, "source.positions=yup.npz"), 0, "note         source.up: heads are above ankles along y"),
        (
            (*MOCAP, "source.positions=mm.npz", "source.unit=m"),
            2,
            "S01 is 1,634 m tall from the ankles to the head, 0.5 to",
        ),
        ((*MOCAP, "source.positions=yup.npz", "source.up=z"), 2, "heads are above ankles in 0% of the frames"),
        (("source=human36m", "source.positions=h36_m.npz", "source.keypoints=k_ok.npz"), 0, ""),
        (
            ("source=human36m", "source.positions=h36_m.npz", "source.keypoints=k_norm.npz"),
            *(2, "px (median) from the projected joints, at most "),
        ),
        (("source=human36m", "source.positions=h36_m.npz", "source.keypoints=k_norm.npz", "source.check=false"), 0, ""),
    ],
)
def test_odd_recordings_are_understood_or_refused(shared_data, tmp_path, monkeypatch, capfd, arguments, code, message):
    monkeypatch.chdir(shared_data / "odd" / "mocap_units")
    exit_code, out, err = raylift(capfd, *arguments, f"output={tmp_path / 'out'}")
    assert (exit_code, message in out + err) == (code, True)
    assert (tmp_path / "out").exists() == (code == 0)


def test_frames_without_all_joints_are_left_out_and_noted(command, tmp_path, capfd):
    motion = walking(50)
    motion[20, 4] = np.nan
    np.savez("mocap.npz", positions_3d={"S1": {"walk": motion}})  # pyright: ignore[reportArgumentType]
    _, out, _ = raylift(capfd, *command)
    assert "/S1/walk/C0: 1 of 50 frames are left out: joints are missing or jump" in out
    assert [(t.start_frame, len(t)) for t in read_tracks("out/tracks")] == [(0, 20), (21, 29)] * 2
