"""What a search leaves in its output, and which later commands may go on from it."""

import dataclasses
import json

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tune.search_samples import RATE, job_of, space_of, tune_config

from pipelines.tune import search_report, trial_records
from pipelines.tune.run import survey
from schemas.errors import UserError


def test_the_ledger_reads_what_it_wrote(tmp_path):
    record = trial_records.TrialRecord(
        3, "run", {RATE: 0.5, "lifter.filter_widths": [3, 3]}, "stopped", {1: 9.5, 2: 8.5}, None, 12.0, "by asha", False
    )
    trial_records.write_trial(str(tmp_path), record)
    assert trial_records.read_trials(str(tmp_path)) == [record]
    changed = {"trial": "001", "epoch": 2, "parameters": {RATE: 0.7, "lifter.filter_widths": [3, 3]}}
    (tmp_path / "trials" / "003" / trial_records.EXPLOITED_FILE).write_text(json.dumps(changed))
    (read,) = trial_records.read_trials(str(tmp_path))
    assert read == dataclasses.replace(record, parameters=changed["parameters"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed=4", "was begun with seed=0, now seed=4"),
        ("search_space.optimization.learning_rate.loguniform=[1e-4,1e-3]", "was begun with search_space.optimization"),
        ("optimization.batch_size=3", "was begun with optimization.batch_size=1024"),
    ],
)
def test_another_search_in_the_same_output_is_refused(tmp_path, change, message):
    config = tune_config(f"output={tmp_path}")
    assert survey(job_of(config)).run_id is None
    job_of(config).manifest.write(config.output, "run", "search.json")
    for may_change in ("trials=50", "retries=3", "max_concurrent_trials=1", "resources.num_workers=2"):
        work = survey(job_of(tune_config(f"output={tmp_path}", may_change)))
        assert (work.run_id, work.nothing_to_do) == ("run", False)
    with pytest.raises(UserError, match=message):
        survey(job_of(tune_config(f"output={tmp_path}", change)))
    with pytest.raises(UserError, match="the tracks have changed"):
        survey(job_of(config, "other"))


def test_a_budget_shorter_than_a_trial_is_refused_once_that_is_known(tmp_path):
    job = job_of(tune_config(f"output={tmp_path}", "budget=1m"))
    job.manifest.write(str(tmp_path), "run", "search.json")
    record = trial_records.TrialRecord(1, "run", {RATE: 0.001}, "finished", {1: 9.0}, best_epoch=1, seconds=90.0)
    trial_records.write_trial(str(tmp_path), record)
    with pytest.raises(UserError, match=r"^budget=1m: the shortest of the trials so far took 90 s; give more, or"):
        survey(job)
    trial_records.write_trial(str(tmp_path), dataclasses.replace(record, number=2, state="running"))
    assert survey(job).records[1].state == "running", "what has begun may lack little"


def test_a_search_is_the_same_however_it_is_written(tmp_path):
    written = [
        *(
            "{optimization.learning_rate: {loguniform: [1e-4, 1e-2]}}",
            "{optimization.learning_rate: {loguniform: [0.0001, .01]}}",
        ),
        "{optimization: {learning_rate: {loguniform: [1.0e-4, 1.0e-2]}}}",
    ]
    for space in written:
        config = tune_config(f"output={tmp_path}", space=space)
        job_of(config).manifest.write(config.output, "run", "search.json")
        assert all(survey(job_of(tune_config(f"output={tmp_path}", space=other))).run_id == "run" for other in written)
    config = tune_config(f"output={tmp_path}", space=written[0])
    document = json.loads((tmp_path / "search.json").read_text())
    document["settings"][f"search_space.{RATE}.loguniform"] = ["1e-4", 0.01]
    (tmp_path / "search.json").write_text(json.dumps(document))
    assert survey(job_of(config)).run_id == "run", "as version 0.1.0 wrote it"


def shown_by_optuna(tmp_path, config, *records):
    """The study that optuna-dashboard finds in the file of a search."""
    (tmp_path / "optuna.log").write_text(search_report.optuna_journal(config, space_of(config), records))
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "optuna.log")))
    return optuna.load_study(study_name=None, storage=storage)


def test_optunas_dashboard_opens_a_search(tmp_path):
    record = trial_records.TrialRecord(
        1, "run", {RATE: 0.001}, "finished", {1: 90.0, 2: 80.0}, best_epoch=2, measures={"parameters": 1e6}
    )
    others = (
        dataclasses.replace(record, number=2, state="stopped", best_epoch=None, scores_mm={1: 95.0}),
        dataclasses.replace(record, number=3, state="failed", best_epoch=None, hopeless=True, scores_mm={}),
        dataclasses.replace(record, number=4, state="running"),
        dataclasses.replace(record, number=5, repeats=1),
    )
    study = shown_by_optuna(tmp_path, tune_config(f"output={tmp_path}"), record, *others)
    assert (study.study_name, study.metric_names) == ("raylift", ["mpjpe_mm"])
    assert [(trial.user_attrs["trial"], trial.state.name) for trial in study.trials] == [
        *(("001", "COMPLETE"), ("002", "PRUNED"), ("003", "PRUNED")),
    ]
    first = study.trials[0]
    assert (first.params, first.values, first.intermediate_values) == ({RATE: 0.001}, [80.0], {1: 90.0, 2: 80.0})
    front = tune_config(f"output={tmp_path}/front", "metric=[mpjpe_mm, parameters]", "scheduler=none")
    (tmp_path / "optuna.log").unlink()
    assert shown_by_optuna(tmp_path, front, record, *others).best_trials[0].values == [80.0, 1e6]


def test_the_output_of_a_training_is_refused(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="holds a training; give another output"):
        survey(job_of(tune_config(f"output={tmp_path}")))
