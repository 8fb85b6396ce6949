"""What jobs print: names from data neither drive the terminal nor show secrets."""

import ast
import io
import json
import logging
import sys
from pathlib import Path

import pytest
from rich.table import Table

from jobs.command_line.main import run_job
from jobs.command_line.progress import make_bars
from jobs.command_line.terminal import Terminal
from pipelines.ray_cluster.logs import JsonFormatter, log_failure

HOSTILE = "a\x1b[2J\x07\r\nb\u202e\x9b.mp4"
SHOWN = "a\\x1b[2J\\x07\\r\\nb\\u202e\\x9b.mp4"
KEY = "planted-key"


def test_names_are_text(capsys):
    Terminal().print(f"failed  {HOSTILE}: [bold]not a video[/bold]")
    assert capsys.readouterr().out == f"failed  {SHOWN}: [bold]not a video[/bold]\n"
    Terminal(stderr=True).print(f"https://me:{KEY}@host/a.mp4?X-Amz-Signature={KEY}")
    assert capsys.readouterr().err == "https://…@host/a.mp4?X-Amz-Signature=…\n"


def test_a_table_wider_than_the_terminal_is_whole(capsys):
    columns = [f"optimization.learning_rate_{number}" for number in range(12)]
    table = Table(*columns, box=None)
    table.add_row(*map(str, range(1000, 1012)))
    Terminal(width=80).print(table)
    names, values = capsys.readouterr().out.splitlines()
    assert names.split() == columns
    assert values.split() == [str(number) for number in range(1000, 1012)]


def test_cells_headers_and_titles_of_tables_are_text(capsys):
    table = Table(HOSTILE, title=HOSTILE, caption=HOSTILE, box=None)
    table.add_row(f"{HOSTILE} :tada: [red]")
    table.add_row(f"https://me:{KEY}@host/a.mp4")
    Terminal(width=200).print(table)
    title, header, cell, address, caption = capsys.readouterr().out.splitlines()
    assert (title.strip(), header.strip(), caption.strip()) == (SHOWN, SHOWN, SHOWN)
    assert (cell.strip(), address.strip()) == (f"{SHOWN} :tada: [red]", "https://…@host/a.mp4")


def test_lines_above_and_beside_a_bar_are_text(capsys):
    bars = make_bars()
    with bars:
        bars.add_task(HOSTILE, total=1, shown=f"{HOSTILE}[red]")
        bars.console.print(f"trial 001 failed: {HOSTILE}", highlight=False, markup=False, soft_wrap=True)
    printed = capsys.readouterr().err
    assert f"trial 001 failed: {SHOWN}\n" in printed
    assert f"{SHOWN}  0 %  {SHOWN}[red]\n" in printed


JOBS = sorted((Path(__file__).parents[3] / "jobs").rglob("*.py"))


@pytest.mark.parametrize("file", JOBS, ids=lambda file: file.name)
def test_jobs_break_lines_by_printing_several(file):
    """A line break within a printed line would be shown as its escape."""
    calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    printed = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "print"]
    texts = [node.value for call in printed for node in ast.walk(call) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and "\n" in text]


def test_several_lines_are_lines(capsys):
    Terminal().print_lines("one", HOSTILE)
    assert capsys.readouterr().out == f"one\n{SHOWN}\n"


def test_mistakes_are_text(capfd):
    assert run_job("label", ["videos=a\x1b]0;b\x07", "output=o"]) == 2
    assert "\\x1b]0;b\\x07: there is no such file" in capfd.readouterr().err


def test_log_lines_hold_what_finds_the_work_again(caplog):
    log_failure("label", "decode", HOSTILE, "broken", clip_id="c1")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"failed: job=label stage=decode video={SHOWN} clip_id=c1 reason=broken"
    entry = json.loads(JsonFormatter().format(record))
    assert {name: entry[name] for name in ("job", "stage", "video", "clip_id", "reason")} == {
        **{"job": "label", "stage": "decode", "video": HOSTILE, "clip_id": "c1", "reason": "broken"}
    }


def test_json_lines_hide_secrets_and_stay_json():
    address = f'https://me:{KEY}@host/"a\\".mp4?token={KEY}\\"'
    record = logging.LogRecord("x", logging.WARNING, "f.py", 1, "cannot read %s", (address,), None)
    record.video = address
    line = JsonFormatter().format(record)
    assert KEY not in line
    assert json.loads(line)["video"].startswith('https://…@host/"a\\".mp4?token=…')


def test_what_an_encoding_lacks_is_replaced(monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    assert run_job("label", ["--help"]) == 0
    assert b"usage: " in shown.getvalue()


def test_a_working_directory_that_was_removed_is_one_line(tmp_path, monkeypatch, capfd):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run_job("label", ["videos=a.mp4", "output=b"]) == 2
    assert capfd.readouterr().err == (
        "label: the working directory is not there: No such file or directory; change to another (cd)\n"
    )
