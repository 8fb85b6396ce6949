"""A search with values that no trial can be trained with is refused before a worker starts, one line for each."""

from pathlib import Path

import pytest
from train.training_samples import person, write
from tune.search_samples import tune_config

from jobs.command_line.arguments import plugin_config
from pipelines.tracks import keypoint_reader
from pipelines.tune.run import TuneJob, prepare
from schemas.errors import UserError


@pytest.fixture(autouse=True)
def tracks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a", *(person(f"of {name}", subject=name) for name in ("S1", "S2")))


def prepared(space: str, *fields: str) -> TuneJob:
    small = ("lifter.filter_widths=[3,3]", "lifter.channels=16")
    return prepare(tune_config(*small, *fields, space=space), plugin_config)


@pytest.mark.parametrize(
    ("space", "line"),
    [
        (
            "{optimization.batch_size: {choice: [1, 32]}}",
            "search_space.optimization.batch_size: no trial can be trained with 1: optimization.batch_size=1: the smal",
        ),
        (
            "{optimization.batch_size: {lograndint: [1, 64]}}",
            "search_space.optimization.batch_size: no trial can be trained with 1: ",
        ),
        ("{data.chunk: {choice: [1, 2000]}}", "search_space.data.chunk: no trial can be trained with 2000: "),
        ("{data.subset: {uniform: [0.001, 1]}}", "search_space.data.subset: no trial can be trained with 0.001: "),
        ("{objective.velocity: {choice: [0, 0.4]}}", "search_space.objective.velocity: no trial can be trained with"),
        (
            "{lifter.name: {choice: [temporal_conv, residual_mlp]},"
            " lifter.dropout: {uniform: [0, 0.5], when: {lifter.name: residual_mlp}},"
            " data.chunk: {choice: [2000]}}",
            "search_space.data.chunk: no trial can be trained with 2000: ",
        ),
    ],
)
def test_values_that_can_never_be_trained_with_are_refused(space, line):
    with pytest.raises(UserError) as error:
        prepared(space)
    assert line in str(error.value)
    assert not Path("o").exists()


def test_a_choice_that_the_unlabeled_tracks_rule_out_is_refused():
    with pytest.raises(UserError, match=r"search_space\.trajectory: no trial can be trained with false: "):
        prepared("{trajectory: {choice: [true, false]}}", "unlabeled=a")


@pytest.mark.parametrize(
    "space",
    [
        "{optimization.batch_size: {choice: [16, 64]}, data.chunk: {choice: [1, 40]}}",
        "{objective.velocity: {choice: [0, 0.4]}, data.chunk: {choice: [1, 8]}}",
        "{lifter.name: {choice: [temporal_conv, spacetime_transformer]},"
        " lifter.heads: {choice: [4], when: {lifter.name: spacetime_transformer}}}",
    ],
)
def test_values_that_another_searched_value_makes_possible_are_searched(space):
    assert prepared(space).trials


def test_a_search_that_has_begun_keeps_its_space(tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "search.json").write_text("{}")
    assert prepared("{optimization.batch_size: {choice: [1, 32]}}").trials


def test_the_tracks_are_looked_at_once_however_many_values_are_checked(monkeypatch):
    survey, looked = keypoint_reader.survey, []
    monkeypatch.setattr(keypoint_reader, "survey", lambda uri, **named: looked.append(uri) or survey(uri))
    assert prepared("{optimization.batch_size: {choice: [8, 16, 32, 64]}, data.chunk: {choice: [1, 8]}}").trials
    assert len(looked) == 1
