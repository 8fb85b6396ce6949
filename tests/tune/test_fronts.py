"""A search by several metrics: what is on the front, what breaks a constraint, and what the sampler learns."""

from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from tune.search_samples import RATE, Notes, job_of, leave_models, space_of, tune_config

from pipelines.mlflow_runs import runs
from pipelines.search.optuna_study import Ending
from pipelines.search.points import read_points
from pipelines.search.samplers import Beginning, Sampler
from pipelines.search.trial_values import trial_config
from pipelines.tune import search_report
from pipelines.tune.lifter_costs import LifterCosts, require_some_lifter
from pipelines.tune.ranking import Ranking
from pipelines.tune.search import Search
from pipelines.tune.trial_records import TrialRecord, read_trials
from schemas.configs.search_metrics import read_limits
from schemas.configs.train import TrainConfig
from schemas.errors import UserError
from schemas.layouts import layout

CHANNELS = "lifter.channels"
FRONT = ("metric=[mpjpe_mm, parameters, lift_frames_per_s]", "scheduler=none")
SPACE = f"{{{CHANNELS}: {{randint: [8, 64]}}, optimization.learning_rate: {{loguniform: [1e-4, 1e-2]}}}}"


def trial(number: int, error_mm: float, parameters: float, frames_per_s: float) -> TrialRecord:
    measures = {"parameters": parameters, "lift_frames_per_s": frames_per_s}
    values = {CHANNELS: number}
    return TrialRecord(number, "run", values, "finished", {1: error_mm}, best_epoch=1, measures=measures)


TRIALS = [trial(1, 50, 4e6, 100), trial(2, 60, 1e6, 400), trial(3, 61, 2e6, 400), trial(4, 70, 2e6, 500)]


def names(records: list[TrialRecord]) -> list[int]:
    return [record.number for record in records]


def test_on_the_front_is_what_no_other_trial_beats_in_everything():
    ranking = Ranking(tune_config(*FRONT, space=SPACE), {}, TRIALS)
    assert names(ranking.front) == [1, 2, 4], "3 is worse than 2 in error and parameters, and no faster"
    assert ranking.best is not None
    assert ranking.best.number == 1, "the one with the least error"
    assert ranking.kept == {1, 2, 3, 4}
    assert Ranking(tune_config(*FRONT, "keep_models=1", space=SPACE), {}, TRIALS).kept == {1, 2, 4}
    assert ranking.trials_since_best == 0


def test_what_breaks_a_constraint_is_neither_best_nor_on_the_front():
    ranking = Ranking(tune_config(*FRONT, "constraints=[parameters<=3e6]", space=SPACE), {}, TRIALS)
    assert names(ranking.front) == [2, 4]
    alone = tune_config("constraints=[parameters<=3e6, lift_frames_per_s>=450]", space=SPACE)
    best = Ranking(alone, {}, TRIALS).best
    assert best is not None
    assert best.number == 4
    (limit,) = read_limits(["lift_frames_per_s>=450"])
    assert limit.excess({"lift_frames_per_s": 400}) == 50


class Costs(LifterCosts):
    """Says what a lifter costs, without one."""

    def __init__(self) -> None:
        self.quiet = False

    @property
    def device(self) -> str:
        return "a device"

    def of(self, training: TrainConfig) -> dict[str, float]:
        channels = training.lifter.options["channels"]
        return {"parameters": 1000.0 * channels, "lift_frames_per_s": (2e4 if self.quiet else 1e4) / channels}

    def forget(self) -> None:
        self.quiet = True


def finish(search: Search, number: int, error_mm: float) -> None:
    search.epoch(number, 1, error_mm, {"epoch": 1, "validation": {"mpjpe_mm": error_mm, "p_mpjpe_mm": error_mm / 2}})
    leave_models(search.config.output, number)
    search.finish(number, {"best_epoch": 1, "best_validation_mm": error_mm, "data": "digest"})


def test_a_front_has_a_recipe_for_each_of_its_trials_and_speeds_measured_in_quiet(tmp_path):
    fields = (f"output={tmp_path}/out", "trials=4", "sampler=nsga2", "constraints=[parameters<=60000]")
    points = "points=[{lifter.channels: 64}, {lifter.channels: 10}, {lifter.channels: 20}, {lifter.channels: 30}]"
    space = f"{{{CHANNELS}: {{randint: [8, 64]}}}}"
    config = tune_config(*FRONT, *fields, points, space=space)
    costs: Any = Costs()
    with runs.record("tune", config) as run:
        job_of(config).manifest.write(config.output, run.run_id, "search.json")
        beginning = Beginning(read_points(config, space_of(config)))
        search = Search(config, space_of(config), run, Notes(), beginning, costs)
        large = search.begin()
        assert (large.state, large.reason) == ("failed", "parameters<=60000: the lifter has 64,000")
        for number, error_mm in ((2, 80.0), (3, 60.0), (4, 70.0)):
            search.begin()
            finish(search, number, error_mm)
        report = search_report.write_report(search, "digest", run)
    assert report["front"] == ["003", "002"], "the third lifter is larger, slower and worse than the second"
    assert report["verdict"].startswith("2 trials are on the front of MPJPE, parameters, frames lifted per second. ")
    recipes = sorted(file.name for file in (tmp_path / "out/front").iterdir())
    assert recipes == ["002.yaml", "003.yaml"]
    text = (tmp_path / "out/front/003.yaml").read_text()
    assert yaml.safe_load(text)["lifter"]["channels"] == 20
    assert "60.0 mm MPJPE on the people held out (S2), 2e+04 parameters, 1,000 frames lifted per second" in text
    measured = {record.number: record.measures for record in read_trials(config.output)}
    assert measured[3] == {
        **{"mpjpe_mm": 60.0, "p_mpjpe_mm": 30.0},
        "parameters": 20_000.0,
        "lift_frames_per_s": 1000.0,
    }
    assert report["lifted_on"] == "a device"


@pytest.mark.parametrize("name", ["tpe", "gp", "nsga2", "random", "qmc"])
def test_samplers_take_several_metrics_and_constraints(name):
    config = tune_config(*FRONT, f"sampler={name}", space=SPACE)
    learning = Sampler(config, space_of(config))
    for number in range(1, 11):
        values = learning.propose(number)
        ending = Ending(
            "finished", {1: 50.0}, (50.0 + number, values[CHANNELS], 100.0), {"parameters<=9": number - 3.0}
        )
        learning.tell(number, values, Ending("infeasible", excess={"parameters<=9": 3.0}) if number == 5 else ending)
    assert 8 <= learning.propose(11)[CHANNELS] <= 64


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["metric=[mpjpe_mm]"], r"metric=\[mpjpe_mm\]: takes two or three different metrics, or a single one without"),
        (["metric=[mpjpe_mm, mpjpe_mm]"], "takes two or three different metrics"),
        (["metric=[parameters, lift_frames_per_s]"], "an error must be among them, which chooses the best epoch"),
        (["metric=[mpjpe_mm, parameters]", "scheduler=asha"], "scheduler=asha compares trials by one metric alone"),
        (["metric=[mpjpe_mm, parameters]", "sampler=cmaes"], "sampler=cmaes learns from one metric alone"),
        (["metric=[mpjpe_mm, parameters]", "repeat_best=2"], r"repeat_best=2: .* has no single best to be repeated"),
        (
            ["metric=[mpjpe_mm, params]"],
            r"metric=\[mpjpe_mm, params\]: there is no metric params; metrics: mpjpe_mm, p",
        ),
        (["metric=loss"], "metric=loss: there is no metric loss; metrics: mpjpe_mm"),
        (["metric=parameters"], "metric=parameters: an error must be among them"),
        (["constraints=[params<=3]"], "constraints: params<=3: there is no such metric; metrics: mpjpe_mm, "),
        (["constraints=[parameters=3]"], "constraints"),
        (["constraints=[parameters<=1e400]"], "constraints: parameters<=1e400: give a metric, <= or >=, and a number"),
    ],
)
def test_what_does_not_go_together_is_one_line(fields, message):
    with pytest.raises(UserError, match=message) as error:
        space_of(tune_config("scheduler=none", *fields, space=SPACE))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("space", "constraint", "refused"),
    [
        ("{lifter.channels: {randint: [8, 64]}}", "parameters<=1", "the nearest has 1,"),
        ("{lifter.channels: {randint: [8, 64]}}", "parameters<=2000", None),
        ("{lifter.channels: {randint: [8, 64]}}", "parameters>=1e9", "the nearest has 9,"),
        (f"{{{RATE}: {{uniform: [1e-4, 1e-2]}}}}", "parameters<=3000", "the nearest has"),
        (
            "{lifter.name: {choice: [residual_mlp, temporal_conv]}, lifter.channels: {choice: [64, 8]}}",
            "parameters<=2e3",
            None,
        ),
        (
            "{lifter.name: {choice: [residual_mlp, temporal_conv]}, lifter.channels: {choice: [64, 8]}}",
            "parameters<=9",
            "the",
        ),
    ],
)
def test_a_limit_that_no_lifter_keeps_to_is_refused_before_any_trial(space, constraint, refused):
    size = () if "lifter.name" in space else ("lifter.filter_widths=[3]",)
    config = tune_config(f"constraints=[{constraint}]", *size, space=space)
    joints = layout("coco17")
    plan: Any = SimpleNamespace(input_layout=joints, output_layout=joints, trajectory=False)
    costs = LifterCosts(config, plan)
    if refused is None:
        require_some_lifter(config, space_of(config), costs)
        return
    with pytest.raises(UserError, match=rf"^constraints: {constraint}: no lifter of the search space .*, {refused}"):
        require_some_lifter(config, space_of(config), costs)


def test_the_verdict_on_a_single_trial_is_a_sentence(tmp_path):
    config = tune_config("metric=[mpjpe_mm, parameters]", "scheduler=none", f"output={tmp_path}", space=SPACE)
    report = search_report.compose(config, space_of(config), TRIALS[:1], "digest", runs.Run())
    assert report["verdict"] == (
        "One trial is on the front of MPJPE, parameters. By MPJPE alone: no trial with the config's own values is "
        "finished, so there is nothing to compare with."
    )


def test_a_lifter_is_counted_and_timed():
    config = tune_config(*FRONT, "lift_device=cpu", "lifter.filter_widths=[3]", space=SPACE)
    joints = layout("coco17")
    plan: Any = SimpleNamespace(input_layout=joints, output_layout=joints, trajectory=False)
    costs = LifterCosts(config, plan)
    small, large = (costs.of(trial_config(config, {CHANNELS: channels}, "o")) for channels in (8, 64))
    assert 0 < small["parameters"] < large["parameters"]
    assert small["lift_frames_per_s"] > 0
    assert costs.of(trial_config(config, {CHANNELS: 8}, "other")) == small, "the same lifter is not measured again"
