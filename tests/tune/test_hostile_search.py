"""The output of a search, into which somebody else has written: its trials lead nowhere else, and run no other code."""

import json
import sys

import pytest
from tune.search_samples import RATE, job_of, space_of, tune_config

from pipelines.search.trial_values import own_values
from pipelines.tune import trial_records
from pipelines.tune.run import survey
from pipelines.tune.trial_records import TrialRecord
from pipelines.tune.warm_start import read_earlier
from schemas.errors import UserError


def output_with(tmp_path, folder="001", exploited=None, **changes):
    """The config of a search whose interrupted trial somebody has changed."""
    config = tune_config(f"output={tmp_path}")
    job_of(config).manifest.write(config.output, "run", "search.json")
    trial_records.write_trial(config.output, TrialRecord(1, "run", {RATE: 0.001}))
    (tmp_path / "trials" / "001").rename(tmp_path / "trials" / folder)
    file = tmp_path / "trials" / folder / trial_records.TRIAL_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    if exploited is not None:
        (file.parent / trial_records.EXPLOITED_FILE).write_text(json.dumps(exploited))
    return config


OTHERS = {
    **{"lifter.name": "antigravity:Lifter", "labeled": "http://169.254.169.254/", "unlabeled": "/etc"},
    **{"output": "/elsewhere", "weights": "/etc/passwd", "lifter.channels": 10**9},
    **{"optimization.seed": 5, RATE: "antigravity:Lifter"},
}


@pytest.mark.parametrize("path", OTHERS)
@pytest.mark.parametrize("file", [trial_records.TRIAL_FILE, trial_records.EXPLOITED_FILE])
def test_a_trial_has_values_of_the_search_space_alone(tmp_path, path, file):
    """A trial goes on with its values, which may be the name of code, or where to read and to write."""
    values = {RATE: 0.001} | {path: OTHERS[path]}
    if file == trial_records.TRIAL_FILE:
        config = output_with(tmp_path, parameters=values)
    else:
        config = output_with(tmp_path, exploited={"trial": "002", "epoch": 1, "parameters": values})
    with pytest.raises(UserError, match=rf"trial 001 has {path}=.*, which the search space does not contain") as error:
        survey(job_of(config))
    assert "\n" not in str(error.value)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "changes",
    [
        *({"trial": "../../x"}, {"trial": "002"}, {"folder": "1000000000", "trial": "1000000000"}),
        *({"state": "x"}, {"scores_mm": {"1": "a"}}, {"best_epoch": 7}, {"seconds": float("inf")}, {"run_id": {}}),
        *({"measures": [1]}, {"reason": {"a": 1}}, {"seconds": "a"}, {"warmup_epochs": "a"}),
        *({"state": "finished"}, {"state": "finished", "scores_mm": {"1": float("nan")}}),
    ],
    ids=str,
)
def test_a_record_of_something_else_is_one_line(tmp_path, changes):
    with pytest.raises(UserError, match="is damaged, or no document of a job") as error:
        survey(job_of(output_with(tmp_path, **changes)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("origin", [("../../../x", 1), ("002", -1), ("2", 1), ("002", "1/../../x"), (None, 1)], ids=str)
def test_what_a_trial_continues_from_lies_in_its_folder(tmp_path, origin):
    exploited = {"trial": origin[0], "epoch": origin[1], "parameters": {RATE: 0.001}}
    with pytest.raises(UserError, match="is damaged, or no document of a job"):
        trial_records.start_file(str(tmp_path), exploited)
    with pytest.raises(UserError, match="is damaged, or no document of a job"):
        survey(job_of(output_with(tmp_path, exploited=exploited)))


def test_the_config_s_own_values_may_lie_outside(tmp_path):
    """Earlier versions tried them."""
    config = tune_config(f"output={tmp_path}", space="{optimization.learning_rate: {loguniform: [0.5, 0.6]}}")
    job_of(config).manifest.write(config.output, "run", "search.json")
    trial_records.write_trial(config.output, TrialRecord(1, "run", own_values(config, space_of(config))))
    assert len(survey(job_of(config)).records) == 1


@pytest.mark.parametrize("metric", [[], {}, ["x"]], ids=str)
def test_an_earlier_search_by_no_error_is_one_line(tmp_path, metric):
    config = output_with(tmp_path)
    manifest = tmp_path / "search.json"
    document = json.loads(manifest.read_text())
    document["settings"]["metric"] = metric
    manifest.write_text(json.dumps(document))
    new = tune_config(f"warm_start={config.output}")
    with pytest.raises(UserError, match="its trials were compared by None, not by mpjpe_mm"):
        read_earlier(new, space_of(new), "digest")
