"""Lifters as MLflow's models: one for each file, with its scores over every set of tracks, on a real server."""

import mlflow
import pytest
from cluster.store_proxy import Proxy
from tracks.track_samples import make_track, write_tracks

from pipelines.mlflow_runs import datasets, logged_models, names, runs
from pipelines.mlflow_runs.child_runs import begin_child
from pipelines.mlflow_runs.datasets import TrackSet
from pipelines.mlflow_runs.history import TrainedModel, read_history
from pipelines.mlflow_runs.logged_models import ModelFile, Scores
from pipelines.tracks.keypoint_reader import survey
from schemas.configs.label import LabelConfig

CONFIG = LabelConfig(videos="v", output="out")


@pytest.fixture
def tracks(tmp_path):
    return survey(write_tracks(tmp_path / "cmu" / "tracks" / "a.parquet", [make_track("a"), make_track("b")]))


@pytest.fixture
def experiment(own_tracking_store, mlflow_server, monkeypatch, request):
    """An experiment of the test's own on the session's server; its name."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    mlflow.set_tracking_uri(mlflow_server)
    return request.node.name


def models(experiment):
    stored_experiment = mlflow.get_experiment_by_name(experiment)
    assert stored_experiment is not None
    return mlflow.MlflowClient().search_logged_models([stored_experiment.experiment_id])


def test_a_model_has_the_scores_of_its_training_and_of_every_evaluation(experiment, tracks):
    file = ModelFile("semi", "ab12", {"lifter": "temporal_conv"}, {"raylift.file": "out/semi/best.pt"})
    validation, test = TrackSet("validation", "cmu", tracks[:1]), TrackSet("testing", "cmu", tracks[1:])
    with runs.record("train", CONFIG) as training:
        training.log_read(validation)
        training.log_metrics({"validation": {"mpjpe_mm": 50.0}}, step=7)
        training.log_model(file, 7, Scores({"validation/mpjpe_mm": 50.0}, validation, 7))
    for error_mm in (60.0, 61.0):
        with runs.record("evaluate", CONFIG) as evaluation:
            evaluation.log_read(test)
            # By then it lies elsewhere.
            evaluation.log_scores(ModelFile("copy", "ab12"), [Scores({"test/mpjpe_mm": error_mm}, test)])
    history = mlflow.MlflowClient().get_metric_history(training.run_id, "validation/mpjpe_mm")
    assert [(entry.step, entry.value) for entry in history] == [(7, 50.0)], "logged once, with the model beside it"
    (model,) = models(experiment)
    assert (model.name, model.source_run_id, model.params["lifter"]) == ("semi", training.run_id, "temporal_conv")
    assert model.tags["raylift.file"] == "out/semi/best.pt"
    note = model.tags["mlflow.note.content"]
    assert note.startswith(f"After epoch 7 of [train out](#/experiments/{model.experiment_id}/runs/{training.run_id}).")
    assert f"- validation: {datasets.entity(validation).name} (1 tracks, " in note
    assert f"digest {validation.digest})" in note
    assert test.digest not in note, "an evaluation is none of its origin"
    digests = [each.digest for each in (validation, test)]
    scores = {(metric.key, metric.dataset_digest, metric.value, metric.step) for metric in model.metrics or ()}
    assert scores == {
        ("validation/mpjpe_mm", digests[0], 50.0, 7),
        *(("test/mpjpe_mm", digests[1], error_mm, 0) for error_mm in (60.0, 61.0)),
    }
    outputs, inputs = mlflow.get_run(training.run_id).outputs, mlflow.get_run(evaluation.run_id).inputs
    assert inputs is not None
    assert outputs is not None
    assert [(each.model_id, each.step) for each in outputs.model_outputs] == [(model.model_id, 7)]
    assert [each.model_id for each in inputs.model_inputs] == [model.model_id]
    assert mlflow.get_run(evaluation.run_id).data.metrics == {"test/mpjpe_mm": 61.0}
    assert read_history().trained == (TrainedModel("ab12", training.run_id, "out/semi/best.pt"),)


def test_the_model_of_a_trial_says_what_its_search_has_read(experiment, tracks):
    read = TrackSet("training", "cmu", tracks)
    with runs.record("tune", CONFIG) as search:
        search.log_read(read)
        trial = begin_child(search, "trial 001", {}, {"raylift.job": "train"})
        trial.end("FINISHED")
        runs.Run(trial.run_id, search.queue).log_model(ModelFile("best", "ab56"), 3)
    (model,) = models(experiment)
    assert "[trial 001]" in model.tags["mlflow.note.content"]
    assert f"digest {read.digest})" in model.tags["mlflow.note.content"]


def test_a_lifter_that_nobody_trained_here_gets_a_model_when_it_is_scored(experiment, tracks):
    with runs.record("evaluate", CONFIG) as evaluation:
        scores = Scores({"test/mpjpe_mm": 60.0}, TrackSet("testing", "cmu", tracks))
        evaluation.log_scores(ModelFile("every.day: 3", "cd34"), [scores])
    (model,) = models(experiment)
    assert (model.name, model.source_run_id) == ("every_day_3", "")


def test_a_run_that_uses_a_lifter_leads_to_its_model(experiment, tracks):
    with runs.record("evaluate", CONFIG) as evaluation:
        evaluation.log_scores(ModelFile("semi", "ab78"), [])
    with runs.record("lift", CONFIG) as lifting:
        lifting.log_read(TrackSet("lifting", "cmu", tracks))
        lifting.log_used("ab78")
        lifting.log_used("cd90")  # nobody has trained or scored it here
    (model,) = models(experiment)
    inputs = mlflow.get_run(lifting.run_id).inputs
    assert inputs is not None
    assert [each.model_id for each in inputs.model_inputs] == [model.model_id]
    assert len(inputs.dataset_inputs) == 1


def test_a_model_that_was_deleted_is_made_again_when_its_file_is_scored(experiment, tracks):
    file, scores = ModelFile("semi", "ef56"), [Scores({"test/mpjpe_mm": 60.0}, TrackSet("testing", "cmu", tracks))]
    for _ in range(2):
        with runs.record("evaluate", CONFIG) as record:
            record.log_scores(file, scores)
        (model,) = models(experiment)
        mlflow.MlflowClient().delete_logged_model(model.model_id)
        assert [metric.value for metric in model.metrics or ()] == [60.0]
        assert mlflow.get_run(record.run_id).info.status == "FINISHED"


def test_the_people_of_a_set_of_tracks_are_part_of_what_it_is(experiment, tracks):
    """Else those held out would be those trained on, which are in the same file."""
    with runs.record("train", CONFIG) as record:
        record.log_read(TrackSet("training", "cmu", tracks[:1]))
        record.log_read(TrackSet("validation", "cmu", tracks[1:]))
    inputs = mlflow.get_run(record.run_id).inputs
    assert inputs is not None
    assert sorted(each.tags[0].value for each in inputs.dataset_inputs) == ["training", "validation"]


def test_a_server_older_than_models_has_the_scores_in_its_runs_and_says_so_once(experiment, tracks, caplog):
    # What Flask says of an address that it does not know.
    missing = {"missing": (404, b"<!doctype html><title>404 Not Found</title>")}
    proxy = Proxy(mlflow.get_tracking_uri(), errors=missing, kind="text/html")
    mlflow.set_tracking_uri(proxy.address)

    def of_2022(number, method, path):
        return "missing" if "logged-models" in path or path.endswith("runs/outputs") else None

    proxy.fault = of_2022
    logged_models._old_servers.clear()
    scores = Scores({"test/mpjpe_mm": 60.0}, TrackSet("testing", "cmu", tracks))
    for _ in range(2):
        with runs.record("evaluate", CONFIG) as record:
            record.log_scores(ModelFile("semi", "ef56"), [scores])
            record.log_model(ModelFile("semi", "ef56"), 7, scores)
            record.log_used("ef56")
        assert mlflow.get_run(record.run_id).data.metrics == {"test/mpjpe_mm": 60.0}
    (line,) = caplog.messages
    assert line.startswith(f"MLFLOW_TRACKING_URI={proxy.address}: this server is older than MLflow 3 and has no table")
    proxy.close()


def test_a_description_leads_to_runs_and_models(experiment, tracks):
    with runs.record("tune", CONFIG) as search:
        search.log_model(ModelFile("best", "ab34"), 3)
        search.describe("[trial 004](run:abc), [its model](model:ab34), [no model](model:00), [no run](run:)")
    (model,), run = models(experiment), mlflow.get_run(search.run_id)
    place = f"#/experiments/{run.info.experiment_id}"
    links = f"[trial 004]({place}/runs/abc), [its model]({place}/models/{model.model_id})"
    assert run.data.tags["mlflow.note.content"] == f"{links}, no model, no run"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://key:secret@bucket/out/semi/best.pt", "semi-best"),
        ("out/semi/last.pt", "semi-last"),
        ("lifters/walking.pt", "lifters"),
        ("best.pt", "best.pt"),
        ("models:/lifter@champion", "lifter"),
        ("everyday", "everyday"),
    ],
)
def test_a_model_is_called_by_the_folder_of_its_training(address, name):
    assert names.of_model(address) == name


def test_models_and_datasets_wait_in_order_for_a_server_that_is_away(
    own_tracking_store, mlflow_server, monkeypatch, tracks
):
    proxy = Proxy(mlflow_server)
    variables = {"TRACKING_URI": proxy.address, "EXPERIMENT_NAME": "away", "HTTP_REQUEST_MAX_RETRIES": "0"}
    for name, value in variables.items():
        monkeypatch.setenv(f"MLFLOW_{name}", value)
    mlflow.set_tracking_uri(proxy.address)
    file, test = ModelFile("semi", "cd34"), TrackSet("testing", "cmu", tracks)
    with runs.record("train", CONFIG) as training:
        assert training.queue.settle(60)
        proxy.fault = lambda number, method, path: "reset"
        training.log_read(test)
        training.log_metrics({"validation": {"mpjpe_mm": 50.0}}, step=7)
        training.log_model(file, 7, Scores({"validation/mpjpe_mm": 50.0}, test, 7))
        training.queue.settle(60)
        proxy.fault = lambda number, method, path: None
    proxy.close()
    mlflow.set_tracking_uri(mlflow_server)
    (model,) = models("away")
    (metric,) = list(model.metrics or ())
    assert (metric.key, metric.dataset_digest, metric.step) == ("validation/mpjpe_mm", test.digest, 7)
    inputs = mlflow.get_run(training.run_id).inputs
    assert inputs is not None
    assert [each.dataset.digest for each in inputs.dataset_inputs] == [test.digest]
