"""Every odd input of the table is accepted with the right facts, or refused with the right line."""

import pytest
from odd_inputs.odd_questions import Refused
from odd_inputs.odd_table import TABLE, Row

from pipelines.video.errors import VideoError
from schemas.errors import UserError


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_an_odd_input_is_understood_or_refused(row: Row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row.make(tmp_path)
    if isinstance(row.right, Refused):
        with pytest.raises((UserError, VideoError)) as error:
            row.ask()
        assert any(row.right.line in line for line in str(error.value).splitlines())
    else:
        answer = row.ask()
        assert {fact: answer[fact] for fact in row.right} == row.right


def test_the_table_grows():
    assert len(TABLE) >= 60
    assert len({row.name for row in TABLE}) == len(TABLE)
