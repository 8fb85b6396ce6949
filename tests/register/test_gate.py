"""The gate: what is worse than the champion is not promoted."""

import json
import re
from pathlib import Path

import mlflow
import pytest
from evaluate.lifter_samples import write_lifter
from mlflow_store import inputs_of
from pydantic import ValidationError
from register.registry_samples import aliases, coco_lifter, raylift, registration, tags, write_scaled
from train.training_samples import person, write

from jobs.command_line.arguments import read_config
from jobs.evaluate import progress_bar
from pipelines.lifters.checkpoint import load_lifter, save_lifter
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.model_uris import FetchedModel
from pipelines.register.gate import Listener, is_worse, judge
from pipelines.register.kinds import Contender
from pipelines.register.lifters import LIFTERS
from pipelines.register.requirements import measured
from schemas.configs.register import RegisterConfig
from schemas.errors import UserError


def mpjpe_mm(capfd, model, *more):
    """What jobs.evaluate says of it."""
    arguments = (f"model={model}", "data=tracks", "subjects=[S1]", "output=scores", *more)
    assert raylift(capfd, *arguments, job="evaluate")[0] == 0
    with open("scores/metrics.json", encoding="utf-8") as file:
        report = json.load(file)
    return report["average"]["metrics"]["mpjpe_mm"], report


@pytest.mark.long
def test_the_alias_moves_only_to_a_version_that_scores_no_worse(corpus, name, capfd):
    good, bad = write_scaled("good/best.pt", 1), write_scaled("bad/best.pt", 3)
    gate = ("promote=champion", "data=tracks", "subjects=[S1]")
    code, out, err = raylift(capfd, f"model={bad}", f"name={name}", *gate)
    assert (code, aliases(name)) == (0, {"candidate": "1", "champion": "1"})
    assert "gate     the first one" in out
    assert f"register: scoring models:/{name}/1\n" in err
    # As if it had been registered when tags had all that is known as JSON.
    client = mlflow.MlflowClient()
    for tag in ("raylift.gate.run_id", "raylift.gate.data"):
        client.delete_model_version_tag(name, "1", tag)
    for tag, document in (("gate", {"verdict": "passed"}), ("lineage", {"training": {}, "tracks": []})):
        client.set_model_version_tag(name, "1", f"raylift.{tag}", json.dumps(document))
    code, out, err = raylift(capfd, f"model={good}", f"name={name}", *gate)
    assert (code, aliases(name)) == (0, {"candidate": "2", "champion": "2"})
    assert f"register: scoring models:/{name}/1, the present champion\n" in err
    (better, report), (worse, _) = mpjpe_mm(capfd, f"models:/{name}@champion"), mpjpe_mm(capfd, bad)
    assert report["model"] == f"models:/{name}/2"
    assert f"gate     models:/{name}/2 {better:.2f}, models:/{name}/1 (champion) {worse:.2f}\ngate     no worse" in out
    assert f"gate     mpjpe_mm on tracks (S1), {report['data']['digest']}" in out

    code, out, err = raylift(capfd, "version=1", f"name={name}", *gate)
    assert (code, aliases(name)) == (1, {"candidate": "2", "champion": "2"})
    assert (
        f"gate     models:/{name}/1 {worse:.2f}, models:/{name}/2 (champion) {better:.2f}\ngate     worse: not " in out
    )
    assert tags(name, 1)["raylift.gate.champion"] == "refused"

    code, out, err = raylift(capfd, f"model={bad}", f"name={name}", *gate, "force=true")
    assert (code, aliases(name)) == (0, {"candidate": "1", "champion": "1"})
    assert "gate     promoted anyway because of force=true, which is recorded" in out
    version_tags = tags(name, 1)
    assert (version_tags["raylift.gate.champion"], version_tags["raylift.gate.data"]) == (
        "forced",
        report["data"]["digest"],
    )
    outcome = registration(version_tags["raylift.gate.run_id"])["gate"]
    assert (outcome["value"], outcome["holder_value"]) == pytest.approx((worse, better))
    assert (outcome["holder"], outcome["data"]["subjects"]) == (f"models:/{name}/2", ["S1"])
    words = mlflow.MlflowClient().get_model_version(name, "1").description or ""
    digest = outcome["data"]["dataset_digest"]
    assert f"| scored | mpjpe_mm {worse:.2f} on tracks of S1, dataset digest {digest} |" in words
    experiments = [each.experiment_id for each in mlflow.search_experiments()]
    readers = mlflow.MlflowClient().search_runs(experiments, f"dataset.digest = '{digest}'")
    assert {run.data.tags["raylift.job"] for run in readers} >= {"evaluate", "register"}, "a search finds what read it"
    assert f"| compared | {worse - better:.2f} worse than models:/{name}/2, then the champion |" in words
    assert "| champion | promoted by force |" in words

    code, out, err = raylift(capfd, f"model={bad}", f"name={name}", *gate)
    assert (code, err) == (0, "")
    assert "gate     version 1 is the champion already: nothing to compare" in out


def read_models(run):
    inputs = mlflow.get_run(run.info.run_id).inputs  # a search for runs leaves them out
    return {each.model_id for each in inputs.model_inputs} if inputs else set()


@pytest.mark.long
def test_the_runs_of_a_gate_say_which_model_scored_what_on_which_tracks(corpus, name, capfd):
    """A run has one value of test/mpjpe_mm, while a gate measures it of two models and on several sets."""
    assert raylift(capfd, f"model={write_scaled('bad/best.pt', 3)}", f"name={name}")[0] == 0
    champion, candidate = f"models:/{name}/1", f"models:/{name}/2"
    model = FetchedModel(write_scaled("good/best.pt", 1), candidate, "5" * 64)
    contender = Contender(candidate, model.sha256, *load_lifter(model.file))
    chosen = {"data": "tracks", "subjects": ("S1",), "sets": {"all": "tracks"}, "require": ("all.mpjpe_mm<=1e6",)}
    config = RegisterConfig(name=name, model=model.file, promote="champion", **chosen)
    listener = Listener(print, progress_bar)
    with runs.record("register", config) as record:
        outcome = judge(LIFTERS, config, contender, champion, listener, record)
    assert outcome.data is not None
    run, digest = mlflow.get_run(record.run_id), outcome.data["dataset_digest"]
    all_digest = outcome.requirements[0].dataset_digest
    groups = {metric.partition("/")[0] for metric in run.data.metrics}
    assert groups - {"system"} == {"candidate", "candidate_all", "champion"}
    children = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    parts = {
        part.info.run_name: part
        for part in mlflow.search_runs([run.info.experiment_id], children, output_format="list")
    }
    assert parts.keys() == {"evaluate candidate on test", "evaluate candidate on all", "evaluate champion on test"}
    models = {}
    for part_name, role, scored, expected in (
        ("evaluate candidate on test", "candidate", candidate, digest),
        ("evaluate candidate on all", "candidate_all", candidate, all_digest),
        ("evaluate champion on test", "champion", champion, digest),
    ):
        part = parts[part_name]
        assert (part.info.status, part.data.params["model"]) == ("FINISHED", scored)
        assert part.data.metrics["test/mpjpe_mm"] == run.data.metrics[f"{role}/mpjpe_mm"]
        (read,) = inputs_of(part.info.run_id)
        assert read.dataset.digest == expected
        by_track = mlflow.load_table("tracks.json", run_ids=[part.info.run_id])
        assert set(by_track["dataset_digest"]) == {expected}
        models.setdefault(scored, set()).update(read_models(part))
    assert [len(model_ids) for model_ids in models.values()] == [1, 1]
    assert read_models(run) == models[candidate], "the run itself is the candidate's"
    (logged,) = (mlflow.get_logged_model(model_id) for model_id in models[candidate])
    digests = {metric.dataset_digest for metric in logged.metrics or () if metric.key == "test/mpjpe_mm"}
    assert digests == {digest, all_digest}


@pytest.mark.long
def test_candidate_and_champion_are_compared_on_the_same_digest_or_not_at_all(corpus, name, capfd):
    """As when somebody imports the tracks anew while a gate scores the first of them."""
    assert raylift(capfd, f"model={write_scaled('bad/best.pt', 3)}", f"name={name}")[0] == 0
    model = FetchedModel(write_scaled("good/best.pt", 1), f"models:/{name}/2", "5" * 64)
    contender = Contender(model.name, model.sha256, *load_lifter(model.file))
    frames = iter((50, 60))

    def import_anew(line):
        if "the present champion" in line:
            write(Path("tracks"), person("a", next(frames)))

    def compare(**more):
        config = RegisterConfig(name=name, model=model.file, promote="champion", data="tracks", **more)
        with runs.record("register", config) as record:
            return judge(LIFTERS, config, contender, f"models:/{name}/1", Listener(import_anew, progress_bar), record)

    with pytest.raises(UserError, match=r"^data: are not the same tracks for both: .*; force=true promotes without"):
        compare()
    outcome = compare(force=True)
    assert (outcome.verdict, outcome.holder_value) == ("forced", None)
    assert outcome.data is not None
    assert f"models:/{name}/2 was scored on dataset digest {outcome.data['dataset_digest']}, " in str(outcome.note)


@pytest.mark.parametrize(
    ("metric", "value", "than", "worse"),
    [
        ("mpjpe_mm", 40.1, 40.0, True),
        ("mpjpe_mm", 40.0, 40.0, False),
        ("mpjpe_mm", float("nan"), 40.0, True),
        ("auc_150mm", 40.1, 40.0, False),
        ("auc_150mm", 39.0, 40.0, True),
    ],
)
def test_a_metric_is_worse_by_its_direction_and_nan_always_is(metric, value, than, worse):
    assert is_worse(metric, value, than) is worse


@pytest.mark.long
def test_a_champion_of_another_layout_takes_force(corpus, name, capfd):
    save_lifter("coco/best.pt", *coco_lifter())
    lifter = write_lifter("lifter/best.pt")
    assert raylift(capfd, "model=coco/best.pt", f"name={name}", "promote=champion", "force=true")[0] == 0
    assert registration(tags(name, 1)["raylift.gate.run_id"])["gate"]["note"] == "not compared: no tracks were given"
    gate = (f"model={lifter}", f"name={name}", "promote=champion", "data=tracks")
    code, _, err = raylift(capfd, *gate)
    assert code == 2
    assert err.splitlines()[-1].startswith(
        f"register: the present champion, models:/{name}/1, cannot be scored: layout: the keypoints are h36m17, the "
        "lifter was trained on coco17; "
    )
    assert err.endswith("force=true promotes without comparing\n")
    assert aliases(name) == {"candidate": "2", "champion": "1"}
    assert raylift(capfd, *gate, "force=true")[0] == 0
    assert aliases(name)["champion"] == "2"


@pytest.mark.long
def test_a_version_that_misses_a_condition_is_not_promoted_even_if_it_is_the_first(corpus, name, capfd):
    model = write_scaled("good/best.pt", 1)
    value, _ = mpjpe_mm(capfd, model)
    gate = (f"model={model}", f"name={name}", "promote=champion", "data=tracks", "subjects=[S1]", "sets={all: tracks}")
    code, out, _ = raylift(capfd, *gate, f"promote.require=[test.mpjpe_mm<={value + 1:.2f}, all.mpjpe_mm<=0.5]")
    assert (code, aliases(name)) == (1, {"candidate": "1"})
    assert f"gate     test.mpjpe_mm<={value + 1:.2f}: {value:.2f}, met\n" in out
    assert "gate     all.mpjpe_mm<=0.5: " in out
    assert "gate     a condition is not met: not promoted, exit code 1; force=true overrules" in out
    assert tags(name, 1)["raylift.gate.champion"] == "refused"
    code, _, _ = raylift(capfd, *gate, f"require=[mpjpe_mm<={value + 1:.2f}, all.mpjpe_mm<=100000]")
    assert (code, aliases(name)["champion"]) == (0, "1")
    outcome = registration(tags(name, 1)["raylift.gate.run_id"])["gate"]
    assert [each["met"] for each in outcome["requirements"]] == [True, True]
    words = mlflow.MlflowClient().get_model_version(name, "1").description or ""
    for each in outcome["requirements"]:
        assert f"{each['value']:.2f}, met, dataset digest {each['dataset_digest']} |" in words
    assert len({each["dataset_digest"] for each in outcome["requirements"]}) == 2
    # The page of the version says it in words: documents are artifacts.
    assert not [text for text in tags(name, 1).values() if text.startswith("{")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"require": ("mpjpe_mm < 80",)}, "mpjpe_mm < 80 is no condition; give such as test.mpjpe_mm<=80"),
        ({"require": ("error_mm<=80",)}, "error_mm<=80: there is no metric error_mm: mpjpe_mm, p_mpjpe_mm"),
        ({"require": ("a.b.mpjpe_mm<=80",)}, "is no condition"),
        ({"sets": {"a.b": "tracks"}}, "a.b: a name of a set is letters, digits, - and _"),
        ({"promote": {"require": ("mpjpe_mm<=80",)}, "require": ()}, "require is given twice, as promote.require too"),
    ],
)
def test_conditions_that_cannot_be_read(fields, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        RegisterConfig.model_validate({"name": "lifter", "promote": "champion", "data": "tracks", **fields})


def test_conditions_are_of_data_or_of_a_named_set():
    config = RegisterConfig(name="lifter", require=("mpjpe_mm<=80", "test.mpjpe_mm<=79", "fast-1.pck_150mm >= 90.5"))
    assert [(of, limit.metric, limit.bound) for limit, of in config.requirements()] == [
        ("", "mpjpe_mm", 80.0),
        ("", "mpjpe_mm", 79.0),
        ("fast-1", "pck_150mm", 90.5),
    ]
    values = {"": {"mpjpe_mm": 80.0}, "fast-1": {"pck_150mm": float("nan")}}
    outcomes = measured(config, values, {"": "ab", "fast-1": "cd"})
    assert [each.dataset_digest for each in outcomes] == ["ab", "ab", "cd"]
    assert [(each.condition, each.met) for each in outcomes] == list(
        zip(config.require, (True, False, False), strict=True)
    )
    # A set that somebody has called test is that set.
    own = RegisterConfig(name="lifter", require=("test.mpjpe_mm<=79",), sets={"test": "tracks"})
    assert [of for _, of in own.requirements()] == ["test"]


@pytest.mark.parametrize(
    ("arguments", "alias"),
    [
        (("promote.require=[test.mpjpe_mm<=80, fast.mpjpe_mm<=95]", "sets.fast=quick"), "champion"),
        (
            ("promote=best", "promote.require=[test.mpjpe_mm<=80, fast.mpjpe_mm<=95]", "promote.sets={fast: quick}"),
            "best",
        ),
    ],
)
def test_conditions_may_be_written_as_part_of_promote(arguments, alias):
    config = read_config(RegisterConfig, ("name=lifter", *arguments), resolve=str)
    assert (config.promote, config.sets) == (alias, {"fast": "quick"})
    assert config.require == ("test.mpjpe_mm<=80", "fast.mpjpe_mm<=95")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            ("require=[fast.mpjpe_mm<=80]", "data=tracks", "sets={slow: tracks}"),
            "require: names fast, which is not among test (data), slow; give sets={fast: TRACKS}\n",
        ),
        (("require=[mpjpe_mm<=80]", "force=true"), "data: is required with require and sets"),
    ],
)
def test_conditions_without_their_tracks(corpus, name, capfd, fields, message):
    code, _, err = raylift(capfd, "model=best.pt", f"name={name}", "promote=champion", *fields)
    assert (code, message in err) == (2, True), err
