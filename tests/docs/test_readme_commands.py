"""The commands of the README name jobs, fields and recipes that exist."""

import re
import shlex
from pathlib import Path

import pytest

from jobs.command_line.main import run_job

ROOT = Path(__file__).parents[2]


def commands() -> list[list[str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^    (?:\.venv/bin/)?raylift ([^#\n]+)", text, re.MULTILINE)
    return [shlex.split(line) for line in lines if not line.startswith("submit")]


def test_the_readme_shows_the_main_jobs():
    shown = {command[0] for command in commands()}
    assert shown >= {"synthesize", "label", "import_poses", "train", "evaluate", "tune", "register", "lift"}


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_each_command_is_understood(command, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    # One wrong field beside them: the job reports every mistake of a command before it starts, and then only this one.
    assert run_job(command[0], [*command[1:], "no_such_field=1"]) == 2
    mistakes = capsys.readouterr().err.strip().splitlines()
    assert len(mistakes) == 1, mistakes
    assert "no_such_field" in mistakes[0]
