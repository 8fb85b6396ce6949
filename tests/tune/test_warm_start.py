"""A search that learns from earlier ones over the same tracks."""

import mlflow
import pytest
from tune.search_samples import RATE, Notes, job_of, leave_models, space_of, tune_config

from pipelines.mlflow_runs import runs
from pipelines.search.optuna_study import Ending
from pipelines.search.samplers import Beginning, Sampler, known_combinations
from pipelines.search.trial_values import trial_count
from pipelines.tune import trial_records
from pipelines.tune.run import TuneJob
from pipelines.tune.search import Search
from pipelines.tune.trial_records import State, TrialRecord
from pipelines.tune.warm_start import read_earlier
from schemas.errors import UserError

CHANNELS = "lifter.channels"
SPACE = f"{{{RATE}: {{choice: [0.001, 0.01]}}, {CHANNELS}: {{choice: [64, 1024]}}}}"


@pytest.fixture
def earlier(tmp_path):
    """The output of a search with four trials."""
    config = tune_config(f"output={tmp_path}/earlier", space=SPACE)
    TuneJob(config, space_of(config), 4, "digest").manifest.write(config.output, "run", "search.json")
    trials: list[tuple[State, float, int]] = [
        *(("finished", 0.001, 1024), ("stopped", 0.01, 1024)),
        *(("finished", 0.01, 64), ("running", 0.001, 64)),
    ]
    for number, (state, rate, channels) in enumerate(trials, start=1):
        values = {RATE: rate, CHANNELS: channels}
        trial_records.write_trial(config.output, TrialRecord(number, "run", values, state, {1: 90.0 + number}))
    return config.output


def read(earlier, *fields, space=SPACE, data="digest"):
    config = tune_config(f"warm_start={earlier}", *fields, space=space)
    return config, read_earlier(config, space_of(config), data)


def test_its_ended_trials_are_learned_from_and_not_tried_again(earlier):
    config, trials = read(earlier)
    assert trials == [
        ({RATE: 0.001, CHANNELS: 1024}, Ending("finished", {1: 91.0})),
        ({RATE: 0.01, CHANNELS: 1024}, Ending("stopped", {1: 92.0})),
        ({RATE: 0.01, CHANNELS: 64}, Ending("finished", {1: 93.0})),
    ]
    space, beginning = space_of(config), Beginning(earlier=trials)
    assert trial_count(config, space, known_combinations(config, space, beginning)) == 2
    sampler = Sampler(config, space, beginning)
    assert sampler.propose(1) == {RATE: 0.001, CHANNELS: 1024}, "the config's own: others are compared with its model"
    assert sampler.propose(2) == {RATE: 0.001, CHANNELS: 64}


def test_trials_with_another_value_of_what_is_searched_no_more_are_left_out(earlier):
    _, trials = read(earlier, f"{CHANNELS}=1024", space=f"{{{RATE}: {{loguniform: [1e-4, 1e-2]}}}}")
    assert [values for values, _ in trials] == [{RATE: 0.001}, {RATE: 0.01}]


def test_of_a_search_over_lifters_the_trials_of_the_lifter_that_is_searched_now_are_taken(tmp_path):
    space = (
        "{lifter.name: {choice: [temporal_conv, supermask]}, lifter.dropout: {uniform: [0, 0.5], when: "
        "{lifter.name: temporal_conv}}, lifter.share: {uniform: [0.2, 0.8], when: {lifter.name: supermask}}}"
    )
    config = tune_config(f"output={tmp_path}/earlier", space=space)
    TuneJob(config, space_of(config), 2, "digest").manifest.write(config.output, "run", "search.json")
    tried = [
        {"lifter.name": "supermask", "lifter.share": 0.4},
        {"lifter.name": "temporal_conv", "lifter.dropout": 0.1},
    ]
    for number, values in enumerate(tried, start=1):
        trial_records.write_trial(config.output, TrialRecord(number, "run", values, "finished", {1: 90.0}))
    _, same = read(config.output, space=space)
    assert [values for values, _ in same] == tried
    _, plain = read(config.output, space="{lifter.dropout: {uniform: [0, 0.5]}}")
    assert [values for values, _ in plain] == [{"lifter.dropout": 0.1}]


@pytest.mark.parametrize(
    ("fields", "data", "message"),
    [
        ([], "other", "its trials saw other tracks, so their errors cannot be compared"),
        (["optimization.epochs=7"], "digest", "its trials have optimization.epochs=80, now it is 7"),
    ],
)
def test_what_cannot_be_compared_is_refused(earlier, fields, data, message):
    with pytest.raises(UserError, match=message):
        read(earlier, *fields, data=data)


@pytest.fixture
def logged(tmp_path, own_tracking_store):
    """A search of which MLflow knows three trials: two over the tracks "digest", one of them with unlike settings."""
    config = tune_config(f"output={tmp_path}/logged", "sampler=random", space=SPACE)
    with runs.record("tune", config) as run:
        search = Search(config, space_of(config), run, Notes())
        for number, data in ((1, "digest"), (2, "digest"), (3, "other")):
            search.begin()
            for epoch in (1, 2):
                validation = {"mpjpe_mm": 90.0 + number - epoch}
                search.epoch(number, epoch, validation["mpjpe_mm"], {"epoch": epoch, "validation": validation})
            leave_models(config.output, number)
            search.finish(number, {"best_epoch": 2, "best_validation_mm": 88.0 + number, "data": data})
        search.begin()
        search.interrupt()
    return search


def test_finished_trainings_of_an_experiment_are_learned_from(logged):
    first, second = (logged.records[number].parameters for number in (1, 2))
    _, trials = read("experiments:/raylift")
    assert trials == [
        (first, Ending("finished", {1: 90.0, 2: 89.0})),
        (second, Ending("finished", {1: 91.0, 2: 90.0})),
    ]
    narrower = f"{{{RATE}: {{loguniform: [1e-4, 1e-1]}}}}"
    _, trials = read("experiments:/raylift", f"{CHANNELS}={first[CHANNELS]}", space=narrower)
    assert [values for values, _ in trials] == [
        {RATE: values[RATE]} for values in (first, second) if values[CHANNELS] == first[CHANNELS]
    ]


def test_a_search_that_goes_on_does_not_count_its_own_trials_as_those_of_an_experiment(logged):
    config = logged.config.model_copy(update={"warm_start": "experiments:/raylift"})
    job_of(config).manifest.write(config.output, logged.run.run_id, "search.json")
    with pytest.raises(UserError, match="none of 0 finished trainings over these tracks has the settings"):
        read_earlier(config, space_of(config), "digest")


def test_a_registered_lifter_stands_for_the_search_that_it_comes_from(logged):
    client = mlflow.MlflowClient()
    client.create_registered_model("lifter")
    version = client.create_model_version(
        "lifter", "file:///nowhere", tags={"raylift.run_id": logged.records[1].run_id}
    )
    _, trials = read(f"models:/lifter/{version.version}")
    assert [values for values, _ in trials] == [logged.records[number].parameters for number in (1, 2)]


@pytest.mark.parametrize(
    ("place", "fields", "message"),
    [
        ("experiments:/other", [], r"experiments:/other: there is no such experiment; experiments: .*raylift"),
        ("models:/none/1", [], "models:/none: there is no model of this name"),
        ("models:lifter", [], r"is not models:/name@alias, models:/name/version or experiments:/name"),
        ("experiments:/raylift", ["optimization.epochs=7"], "none of 2 finished trainings over these tracks has the s"),
        (
            "experiments:/raylift",
            ["metric=[mpjpe_mm, parameters]", "scheduler=none"],
            "MLflow knows no costs of lifters",
        ),
    ],
)
def test_what_mlflow_does_not_know_is_one_line(logged, place, fields, message):
    with pytest.raises(UserError, match=message) as error:
        read(place, *fields)
    assert len(str(error.value).splitlines()) == 1


def test_an_output_without_a_search_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no search; give the output of one"):
        read(tmp_path)
