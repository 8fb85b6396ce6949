"""The workflows of docs/orchestrators.md are Python, and give the jobs commands that these take.

Airflow, Prefect and Dagster are no dependencies; the page says with which versions its examples were run.
"""

import ast

import pytest
from docs.doc_commands import ROOT, Snippet, steps

from jobs.command_line.arguments import read_config
from jobs.command_line.job_list import config_class

EXAMPLES = [step for step in steps(ROOT / "docs" / "orchestrators.md") if isinstance(step, Snippet)]


def commands(code):
    """The words of each call of the example's own `raylift`."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "raylift"]
    return [[ast.literal_eval(word) for word in call.args] for call in named]


def test_there_is_one_for_each():
    assert [example.title for example in EXAMPLES] == ["raylift_nightly.py", "raylift_flow.py", "raylift_assets.py"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_its_commands_are_right(example):
    words = commands(example.code)
    assert [job for job, *_ in words] == ["label", "train"]
    for job, *arguments in words:
        read_config(config_class(job), arguments)
