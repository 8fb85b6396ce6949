"""Warnings name what data are called: on a terminal that is text."""

import logging

from jobs.command_line.main import _StandardError


def test_a_warning_drives_no_terminal(capsys):
    log = logging.Logger("a")
    log.addHandler(_StandardError())
    log.warning("columns that say nothing here: %s", "fine\x1b[2J\rjob: done https://me:secret@host/x")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        log.exception("failed")
    output = capsys.readouterr().err
    assert r"fine\x1b[2J" in output
    assert "ValueError: \\x1b[2J" in output
    assert not {"\x1b", "\r"} & set(output)
    assert "secret" not in output


def test_a_warning_fills_no_terminal(capsys):
    log = logging.Logger("a")
    log.addHandler(_StandardError())
    log.warning("columns that say nothing here: %s; it may have uri", ", ".join(map(str, range(100_000))))
    output = capsys.readouterr().err
    assert len(output) < 5_000
    assert output.endswith("it may have uri\n")
