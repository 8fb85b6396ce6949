"""Search spaces: every way to say them, and every mistake, before anything starts."""

import pytest
from tune.search_samples import RATE, space_of, tune_config

from jobs.command_line.arguments import read_config
from pipelines.search.trial_values import trial_config, trial_count
from schemas.configs.search_space import Dimension, read_dimension, short_names
from schemas.configs.tune import TuneConfig, seconds
from schemas.errors import UserError


def test_nested_dotted_and_on_the_command_line_are_one():
    nested = tune_config(space="{optimization: {learning_rate: {loguniform: [1e-4, 1e-2]}}}")
    dotted = tune_config(space="{optimization.learning_rate: {loguniform: [1e-4, 1e-2]}}")
    fields = ["labeled=a", "output=o", "data.validation_subjects=[S2]"]
    line = read_config(TuneConfig, [*fields, f"search_space.{RATE}={{loguniform: [1e-4,1e-2]}}"])
    assert space_of(nested) == space_of(dotted) == space_of(line) == {RATE: Dimension("loguniform", (1e-4, 1e-2))}


def test_the_command_line_changes_the_kind_of_a_recipe(tmp_path):
    recipe = tmp_path / "search.yaml"
    recipe.write_text("search_space: {optimization: {learning_rate: {loguniform: [1e-4, 1e-2]}}}\n")
    fields = [str(recipe), "labeled=a", "output=o", "data.validation_subjects=[S2]"]
    config = read_config(TuneConfig, [*fields, f"search_space.{RATE}={{choice: [0.1, 0.2]}}"])
    assert space_of(config) == {RATE: Dimension("choice", (0.1, 0.2))}


def test_the_command_line_changes_and_drops_what_a_recipe_searches(tmp_path):
    recipe = tmp_path / "search.yaml"
    recipe.write_text(f"search_space: {{{RATE}: {{loguniform: [1e-4, 1e-2]}}, lifter.channels: {{choice: [8]}}}}\n")
    fields = [str(recipe), "labeled=a", "output=o", "data.validation_subjects=[S2]"]
    changed = space_of(read_config(TuneConfig, [*fields, f"search_space.{RATE}={{choice: [0.1]}}"]))
    assert changed == {RATE: Dimension("choice", (0.1,)), "lifter.channels": Dimension("choice", (8,))}
    dropped = read_config(TuneConfig, [*fields, f"search_space.{RATE}=null", f"{RATE}=0.5"])
    assert space_of(dropped) == {"lifter.channels": Dimension("choice", (8,))}
    assert dropped.optimization.learning_rate == 0.5
    with pytest.raises(
        UserError, match=r"^search_space\.lifter\.chanels=null: it is not searched; did you mean lifter"
    ):
        read_config(TuneConfig, [*fields, "search_space.lifter.chanels=null"])


def test_a_searched_field_cannot_be_given_a_value_too(tmp_path):
    with pytest.raises(
        UserError, match=rf"^{RATE}=0.5: the field is searched; leave it out, or give search_space.{RATE}"
    ):
        tune_config(f"{RATE}=0.5")
    recipe = tmp_path / "training.yaml"
    recipe.write_text("optimization: {learning_rate: 0.002}\n")
    assert tune_config(str(recipe)).optimization.learning_rate == 0.002, "where the search begins"


def test_choices_are_what_the_training_config_takes():
    space = "{lifter: {filter_widths: {choice: [[3, 3], [3, 3, 3]]}}, optimization.learning_rate: {choice: [1e-4, 1]}}"
    dimensions = space_of(tune_config(space=space))
    assert dimensions["lifter.filter_widths"].values in (((3, 3), (3, 3, 3)), ([3, 3], [3, 3, 3]))
    assert dimensions[RATE].values == (1e-4, 1.0), "YAML takes 1e-4 for a text"


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ("{optimization.lerning_rate: {uniform: [0, 1]}}", "no such field to search; did you mean optimization.learn"),
        ("{optimization.lr: {uniform: [0, 1]}}", "no such field to search; optimization has epochs, batch_size, accum"),
        ("{lr: {uniform: [0, 1]}}", "no such field to search; --help lists the fields"),
        ("{optimisation.learning_rate: {uniform: [0, 1]}}", "did you mean optimization.learning_rate?"),
        ("{lifter: {chanels: {randint: [8, 16]}}}", "no such field to search; did you mean lifter.channels?"),
        ("{optimization.learning_rate: {logunifrm: [1, 2]}}", "no kind logunifrm; kinds: uniform, loguniform"),
        ("{optimization.learning_rate: {loguniform: [1e-2]}}", "takes two numbers, the lowest and the highest"),
        ("{optimization.learning_rate: {loguniform: [0, 1]}}", "loguniform takes numbers above 0"),
        ("{optimization.learning_rate: {uniform: [2, 1]}}", "uniform takes the lower number first"),
        ("{optimization.learning_rate: {uniform: [a, 1]}}", "learning_rate={uniform: [a, 1]}: a is no finite number"),
        (
            "{optimization.learning_rate: {uniform: [-1, 1]}}",
            "optimization.learning_rate=-1.0: input should be greater",
        ),
        (
            "{optimization.learning_rate: {low: 1, high: 2}}",
            "search_space.optimization.learning_rate: give a kind with its values, such as {uniform: [low, high]} or",
        ),
        ("{optimization.learning_rate: 0.1}", "give a kind with its values, such as {uniform: [low, high]}"),
        ("{optimization.learning_rate: {choice: []}}", "choice takes a list of at least one value"),
        ("{optimization.learning_rate: {choice: [1, 1]}}", "choice has the same value twice, 1.0; give it once"),
        ("{optimization.batch_size: {choice: [64, 64.0]}}", "choice has the same value twice, 64; give it once"),
        ("{optimization.learning_rate: {choice: [1e-4, 0.0001]}}", "choice has the same value twice, 0.0001; give"),
        ("{optimization.learning_rate: {uniform: [0, 1], choice: [1]}}", "give one kind, not uniform and choice"),
        ("{lifter.channels: {choice: [8]}, lifter: {channels: {choice: [16]}}}", "lifter.channels: is given twice"),
        (
            "{optimization.learning_rate: {choice: [1, x]}}",
            "optimization.learning_rate=x: input should be a valid number",
        ),
        ("{lifter.channels: {uniform: [8, 16]}}", "input should be a valid integer"),
        ("{lifter.channels: {randint: [8.5, 16]}}", "randint takes whole numbers"),
        ("{lifter.filter_widths: {choice: [[3, 3], [2, 3]]}}", "filter widths are odd numbers"),
        ("{lifter.name: {choice: [temporal_con]}}", "unknown plug-in 'temporal_con'"),
        (
            "{lifter.name: {choice: [temporal_conv, supermask]}, lifter.share: {uniform: [0.1, 1]}}",
            "lifter.share: temporal_conv has no such option; give when: {lifter.name: [supermask]} beside it",
        ),
        ("{lifter.dropout: {uniform: [0, 0.5], when: {objective.pose: 1}}}", "objective.pose is not searched"),
        (
            "{objective.pose: {uniform: [1, 2]}, lifter.dropout: {uniform: [0, 0.5], when: {objective.pose: 1}}}",
            "when: objective.pose is a uniform; only choices can be named",
        ),
        (
            "{lifter.name: {choice: [temporal_conv]}, "
            "lifter.dropout: {uniform: [0, 0.5], when: {lifter.name: supermask}}}",
            "when: lifter.name is never supermask; its choices: temporal_conv",
        ),
        (
            "{objective.pose: {choice: [1, 2], when: {trajectory: true}}, trajectory: {choice: [true], when: "
            "{objective.pose: 1}}}",
            "fields need each other",
        ),
        ("{lifter.dropout: {uniform: [0, 0.5], when: yes}}", "when names another searched field with its values"),
        (
            "{lifter.dropout: {uniform: [0, 0.5], step: 1}}",
            "step=1: steps are above 0 and at most the distance of",
        ),
        ("{lifter.dropout: {uniform: [0, 0.5], step: 1e-300}}", "step=1e-300: is too small for a range of 0.5; leave"),
        ("{objective.pose: {uniform: [0, 1e308], step: 1e-300}}", "step=1e-300: is too small for a range of 1e+308"),
        (
            "{lifter.name: {choice: [temporal_conv]}, lifter.dropout: {uniform: [0, 0.5], when: {lifter.name: []}}}",
            "when: lifter.name=[] is never so; give at least one value, or leave when out",
        ),
        ("{lifter.channels: {randint: [8, 64], step: 0.5}}", "steps of randint are whole numbers"),
        ("{optimization.learning_rate: {loguniform: [1, 2], step: 1}}", "loguniform takes no step"),
        ("{lifter.channels: {lograndint: [0, 64]}}", "lograndint takes numbers above 0"),
        ("{resources.num_workers: {randint: [1, 2]}}", "cannot be searched: who computes changes no result"),
        ("{data.fps: {choice: [25, 50]}}", "cannot be searched: errors on other frames cannot be compared"),
        ("{metric: {choice: [mpjpe_mm, p_mpjpe_mm]}}", "errors of different kinds cannot be compared"),
        ("{labeled: {choice: [a, b]}}", "trials differ in settings, not in data"),
        ("{output: {choice: [a, b]}}", "trials differ in settings, not in data"),
        ("{optimization.epochs: {randint: [1, 3]}}", "scheduler=asha compares trials epoch by epoch"),
        ("{}", "names nothing to search"),
    ],
)
def test_mistakes_name_path_value_and_fix(space, message):
    with pytest.raises(UserError) as error:
        space_of(tune_config(space=space))
    (line,) = str(error.value).splitlines()
    assert line.startswith("search_space")
    assert message in line


def test_all_mistakes_are_told_at_once():
    space = "{optimization.lerning_rate: {uniform: [0, 1]}, lifter.channels: {uniform: [1]}}"
    with pytest.raises(UserError) as error:
        space_of(tune_config("data.validation_subjects=[]", "sampler=grid", "trials=3", space=space))
    assert [line.split("=")[0] for line in str(error.value).splitlines()] == [
        *("data.validation_subjects", "trials"),
        *("search_space.optimization.lerning_rate", "search_space.lifter.channels"),
    ]


def test_a_population_shares_its_network_and_changes_what_may_change():
    pbt = ("scheduler=pbt", "sampler=random")
    with pytest.raises(UserError, match="all have the same network"):
        space_of(tune_config(*pbt, space="{lifter.channels: {choice: [16, 32]}}"))
    with pytest.raises(UserError, match="fixed once a training has begun; scheduler=pbt changes optim"):
        space_of(tune_config(*pbt, space="{optimization.batch_size: {choice: [16, 32]}}"))
    with pytest.raises(UserError, match="which tpe cannot learn from; give sampler=random or qmc"):
        space_of(tune_config("scheduler=pbt", "sampler=tpe"))
    assert space_of(tune_config(*pbt, space="{objective.bone_length: {uniform: [0, 2]}}"))


def test_what_cannot_be_repeated_is_refused():
    with pytest.raises(UserError, match="repeat_best=2: scheduler=pbt changes values while trials run"):
        space_of(tune_config("scheduler=pbt", "sampler=random", "repeat_best=2"))
    with pytest.raises(UserError, match=r"repeat_best=2: repeats trials with other seeds; do not search optimization"):
        space_of(tune_config("repeat_best=2", space="{optimization.seed: {randint: [0, 9]}}"))


def test_durations_have_a_unit():
    assert seconds("1.5h") == 5400
    assert [seconds(f"2{unit}") for unit in "smhd"] == [2, 120, 7200, 172_800]
    for wrong in ("2 hours", "2", "abc", "-1h", "0s", "0.0m"):
        with pytest.raises(UserError, match=rf"^budget={wrong}: give a time above 0 with its unit, such as 90s"):
            tune_config(f"budget={wrong}")


@pytest.mark.parametrize(
    ("fields", "space"),
    [
        (["objective.warmup_epochs=5"], f"{{{RATE}: {{uniform: [1, 2]}}}}"),
        ([], "{objective.warmup_epochs: {randint: [0, 5]}}"),
    ],
)
def test_no_trial_is_stopped_before_it_has_seen_unlabeled_tracks(fields, space):
    assert space_of(tune_config(*fields, space=space)), "a supervised search has no warm-up"
    with pytest.raises(UserError, match=r"asha\.grace_epochs=5: trials cannot be .* more than 5"):
        space_of(tune_config("unlabeled=b", *fields, space=space))
    assert space_of(tune_config("unlabeled=b", "asha.grace_epochs=6", *fields, space=space))


def test_a_grid_has_each_combination():
    space = "{lifter.channels: {randint: [8, 10]}, optimization.amsgrad: {choice: [true, false]}}"
    config = tune_config("sampler=grid", space=space)
    dimensions = space_of(config)
    assert trial_count(config, dimensions) == 6
    with pytest.raises(UserError, match="sampler=grid needs a finite number of values"):
        space_of(tune_config("sampler=grid"))
    huge = "{lifter.channels: {randint: [1, 1000000000]}, optimization.amsgrad: {choice: [true, false]}}"
    with pytest.raises(UserError, match="sampler=grid: the search space has 2,000,000,000 combinations"):
        space_of(tune_config("sampler=grid", space=huge))
    assert space_of(tune_config("sampler=random", space=huge))


def test_a_trial_is_a_training_with_some_values_changed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tune_config("unlabeled=[b, memory://c/d]", "lifter.channels=16", "optimization.epochs=7")
    trial = trial_config(config, {RATE: 0.5, "lifter.dropout": 0.1}, f"{tmp_path}/o/trials/001")
    assert (trial.optimization.learning_rate, trial.optimization.epochs) == (0.5, 7)
    assert (trial.lifter.options["channels"], trial.lifter.options["dropout"]) == (16, 0.1)
    assert trial.labeled == f"{tmp_path}/a", "it runs elsewhere"
    assert trial.unlabeled == (f"{tmp_path}/b", "memory://c/d")
    assert trial.output == f"{tmp_path}/o/trials/001"
    assert trial.resources.cpus_per_worker == 1, "or each trial would take the whole machine"
    with pytest.raises(UserError, match=r"optimization\.learning_rate=-1: do not go together"):
        trial_config(config, {RATE: -1}, "o")


def test_short_names_are_the_last_parts_unless_two_end_alike():
    assert short_names([RATE, "objective.pose", "a.x", "b.x"]) == {
        **{RATE: "learning_rate", "objective.pose": "pose"},
        **{"a.x": "a.x", "b.x": "b.x"},
    }


def test_a_bound_of_hundreds_of_digits_is_no_finite_number():
    with pytest.raises(UserError, match="is no finite number"):
        read_dimension({"randint": [1, 10**400]})
