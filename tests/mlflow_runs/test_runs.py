"""Runs on a server that is away for a while, behind a proxy that refuses connections."""

import importlib
import json
import pkgutil
import re
from uuid import uuid4

import mlflow
import pytest
from mlflow.artifacts import load_text
from mlflow_runs.run_samples import CONFIG, away, back, history
from mlflow_store import new_store
from tracks.track_samples import make_track, write_tracks

from pipelines.mlflow_runs import names, runs
from pipelines.mlflow_runs.datasets import TrackSet, VideoSet
from pipelines.tracks.keypoint_reader import survey
from schemas import configs
from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.register import RegisterConfig
from schemas.earlier_versions import values_if_absent
from schemas.errors import RunFailed, UserError
from schemas.formats.videos import VideoSource
from schemas.job_config import paths
from schemas.run_config import RunConfig


def config_classes():
    """The config of every job that records a run."""
    for module in pkgutil.iter_modules(configs.__path__, "schemas.configs."):
        importlib.import_module(module.name)
    return RunConfig.__subclasses__()


def test_what_a_server_misses_it_is_told_when_it_is_back(server, caplog):
    with runs.record("train", CONFIG) as record:
        record.log_metrics({"loss": 3.0}, step=1)
        assert record.queue.settle(60)
        server.fault = away
        record.log_metrics({"loss": 2.0}, step=2)
        record.log_tags({"raylift.data": "abc"})
        record.log_json({"epochs": 3}, "report.json")
        assert not record.queue.settle(60), "nobody waits for a server that is away"
        server.fault = back
        record.log_metrics({"loss": 1.0}, step=3)
    assert history(record, "loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    run = mlflow.get_run(record.run_id)
    assert (run.info.status, run.data.tags["raylift.data"]) == ("FINISHED", "abc")
    assert load_text(f"runs:/{record.run_id}/report.json") == '{\n  "epochs": 3\n}'
    (line,) = caplog.messages
    assert line.startswith(f"MLFLOW_TRACKING_URI={server.address}: the tracking server cannot be used: ")
    assert "the job goes on" in line


def test_a_server_that_stays_away_costs_no_job(server, caplog):
    with runs.record("label", CONFIG) as record:
        assert record.queue.settle(60)
        server.fault = away
        record.log_metrics({"clips": 3})
        record.log_bytes(b"weights", "best.pt")
        record.queue.settle(60)
    assert caplog.messages[1:] == ["the MLflow run lacks the last 3 entries of the job; its output is complete"]
    server.fault = back
    # The process is in no run any more.
    with runs.record("label", CONFIG) as another:
        assert another.run_id != record.run_id


@pytest.mark.parametrize(
    ("name", "folder", "place"),
    [("a.yaml", None, "a.yaml"), ("front/002.yaml", None, "front/002.yaml"), ("b/a.yaml", "c", "c/b/a.yaml")],
)
def test_a_file_lies_in_the_folders_of_its_name(server, name, folder, place, caplog):
    with runs.record("tune", CONFIG) as record:
        record.log_bytes(b"values", name, folder)
        record.log_json({"epochs": 3}, "report.json")
    assert load_text(f"runs:/{record.run_id}/{place}") == "values"
    assert load_text(f"runs:/{record.run_id}/report.json")
    assert not caplog.messages


def test_nonsense_is_a_bug_that_is_told_and_not_kept_for_later(server, caplog):
    with runs.record("label", CONFIG) as record:
        record.log_tags({"x" * 300: "y"})
        record.log_metrics({"clips": 1.0})
    assert history(record, "clips") == [(0, 1.0)]
    (line,) = caplog.messages
    assert line.startswith("MLflow rejects an entry of the run: ")


def test_a_job_that_fails_is_a_run_that_failed_and_says_why(server):
    with pytest.raises(RunFailed), runs.record("label", CONFIG) as record:
        raise RunFailed("disk full")
    failed = mlflow.get_run(record.run_id)
    assert failed.info.status == "FAILED"
    assert failed.data.tags["mlflow.note.content"] == "Failed: disk full"


def test_an_interrupted_job_is_a_run_that_was_killed(server):
    with pytest.raises(KeyboardInterrupt), runs.record("label", CONFIG) as record:
        raise KeyboardInterrupt
    assert mlflow.get_run(record.run_id).info.status == "KILLED"


@pytest.mark.parametrize(("named", "expected"), [(None, "label out"), ("night shift", "night shift")])
def test_a_run_is_called_by_its_job_and_output_or_as_the_user_says(server, monkeypatch, named, expected):
    if named:
        monkeypatch.setenv("MLFLOW_RUN_NAME", named)
    with runs.record("label", CONFIG) as record:
        pass
    assert mlflow.get_run(record.run_id).info.run_name == expected
    assert (
        json.loads(load_text(f"runs:/{record.run_id}/environment.json") or "")["packages"]["mlflow"]
        == mlflow.__version__
    )


def test_a_name_of_the_command_is_before_that_of_the_environment_and_means_the_outermost_run(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_NAME", "of the shell")
    with runs.record("compare", CONFIG) as whole, runs.record("label", CONFIG) as part:
        pass
    with runs.record("label", CONFIG.model_copy(update={"run_name": "night shift"})) as record:
        pass
    run_names = [mlflow.get_run(each.run_id).info.run_name for each in (whole, part, record)]
    assert run_names == ["of the shell", "label out", "night shift"]
    # A relaunch may say another one, and is no other job by that.
    with runs.record("train", CONFIG.model_copy(update={"run_name": "day shift"}), record.run_id) as again:
        pass
    assert (again.run_id, mlflow.get_run(again.run_id).info.run_name) == (record.run_id, "day shift")
    monkeypatch.setenv("MLFLOW_RUN_NAME", "two\nlines")
    with pytest.raises(UserError, match=r"^MLFLOW_RUN_NAME='two\\nlines': a run's name is 1 to 250 characters in one"):
        runs.record("label", CONFIG).__enter__()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "out/semi/last.pt"}, "register gait semi-last"),
        ({"model": "models:/lab@candidate"}, "register gait lab"),
        ({"run": "0af"}, "register gait"),
    ],
)
def test_a_registration_is_called_by_the_name_and_what_gets_it(fields, expected):
    assert names.of_run("register", RegisterConfig(name="gait", **fields), within=False) == expected


def test_an_evaluation_without_an_output_is_called_by_the_lifter():
    assert names.of_run("evaluate", EvaluateConfig(model="out/semi/best.pt", data="t"), within=False) == (
        "evaluate semi-best"
    )


@pytest.mark.parametrize("config", config_classes(), ids=lambda config: config.__name__)
def test_the_name_of_a_run_is_no_setting_of_any_job(config):
    """Else an output begun under another name would be refused."""
    assert "run_name" not in config.model_construct(run_name="night shift").model_dump()
    assert [path for path, _ in paths(config)][-1] == "run_name"
    assert "run_name" not in values_if_absent(config)


def test_a_job_within_another_is_part_of_it(server):
    with runs.record("compare", CONFIG) as whole:
        with runs.record("train", CONFIG) as part:
            pass
        with runs.record("train", CONFIG, part.run_id) as resumed:
            assert resumed.run_id == part.run_id
    assert mlflow.get_run(part.run_id).data.tags["mlflow.parentRunId"] == whole.run_id
    assert {mlflow.get_run(record.run_id).info.status for record in (whole, part)} == {"FINISHED"}


def test_the_tracks_that_a_run_reads_are_datasets_that_runs_are_found_by(server, tmp_path):
    # Other tests write the same tracks and log them to the same server; a name of its own tells this file apart.
    file = tmp_path / "cmu" / "tracks" / f"{uuid4().hex}.parquet"
    tracks = survey(write_tracks(file, [make_track("a"), make_track("b")]))
    with runs.record("train", CONFIG) as record:
        record.log_read(TrackSet("training", f"{tmp_path}/cmu/tracks", tracks))
        record.log_read(TrackSet("unlabeled", None, ()))
    inputs = mlflow.get_run(record.run_id).inputs
    assert inputs is not None
    (dataset_input,) = inputs.dataset_inputs
    assert (dataset_input.dataset.name, dataset_input.tags[0].value) == ("cmu S1", "training")
    assert json.loads(dataset_input.dataset.profile or "") == {
        **{"tracks": 2, "frames": 40, "people": 1, "cameras": 1},
        **{"frames_per_s": [50.0], "layouts": ["coco17"], "labeled_as": ["h36m17"]},
    }
    # The form that MLflow's page draws as a table; to others it says "Unrecognized Schema Format".
    columns = json.loads(dataset_input.dataset.schema or "")["mlflow_colspec"]
    assert {"name": "layout", "type": "string"} in columns
    by_digest = f"dataset.digest = '{dataset_input.dataset.digest}'"
    (again,) = mlflow.search_runs(filter_string=by_digest, search_all_experiments=True, output_format="list")
    assert again.info.run_id == record.run_id


def test_the_videos_that_a_run_reads_are_a_dataset_too(server):
    videos = [VideoSource(uri="/films/a.mp4", subject="S1"), VideoSource(uri="/films/b.mp4", fov_deg=60)]
    digests = []
    for read in (videos, videos[::-1], videos[:1]):
        with runs.record("label", CONFIG) as record:
            record.log_read(VideoSet("labeling", "/films", read))
        inputs = mlflow.get_run(record.run_id).inputs
        assert inputs is not None
        (dataset_input,) = inputs.dataset_inputs
        digests.append(dataset_input.dataset.digest)
    assert (dataset_input.dataset.name, dataset_input.tags[0].value) == ("films", "labeling")
    assert digests[0] == digests[1] != digests[2]
    assert json.loads(dataset_input.dataset.profile or "") == {
        **{"videos": 1, "people": 1, "cameras": 0, "with_known_camera": 0}
    }


def test_an_experiment_is_shown_as_model_training_unless_it_is_another_kind(server, monkeypatch):
    mlflow.create_experiment("chats", tags={"mlflow.experimentKind": "genai_development"})
    for name, kind in (("raylift", "custom_model_development"), ("chats", "genai_development")):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
        with runs.record("train", CONFIG):
            pass
        experiment = mlflow.get_experiment_by_name(name)
        assert experiment is not None
        tags = experiment.tags
        assert tags["mlflow.experimentKind"] == kind
        first, *rest = tags["mlflow.note.content"].splitlines()
        # What MLflow shows of it to a browser that has not been there, beside the pages of GenAI.
        assert f"](#/experiments/{experiment.experiment_id}?workflowType=machine_learning)" in first
        assert any("keypoints" in line for line in rest)
        jobs = {config.__module__.rpartition(".")[2] for config in config_classes()}
        assert jobs <= set(re.findall(r"`(\w+)`", "\n".join(rest))), "it says what a run of each job is"


def test_the_experiment_is_the_one_that_the_environment_names(own_tracking_store, monkeypatch):
    for name, expected in ((None, "raylift"), ("gait", "gait")):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name) if name else None
        with runs.record("train", CONFIG) as record:
            pass
        experiment = mlflow.get_run(record.run_id).info.experiment_id
        assert mlflow.get_experiment(experiment).name == expected


def test_files_of_runs_lie_beside_the_database_where_the_working_directory_cannot_be_written(tmp_path, monkeypatch):
    store = new_store(tmp_path / "store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "elsewhere")
    mlflow.set_tracking_uri(store)
    monkeypatch.chdir("/proc")
    with runs.record("train", CONFIG) as record:
        record.log_json({"a": 1}, "report.json")
    assert list(tmp_path.glob("**/mlruns/**/report.json"))


def test_a_folder_that_cannot_be_written_is_one_line_at_once(own_tracking_store, monkeypatch):
    monkeypatch.chdir("/proc")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    message = r"/proc/mlflow\.db cannot be written; give MLFLOW_TRACKING_URI=sqlite:////FOLDER"
    with pytest.raises(RunFailed, match=message), runs.record("train", CONFIG):
        pass
