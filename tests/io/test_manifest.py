"""The note by which a job's output is known again."""

import pytest

from pipelines.io.manifest import Beginning, Begun
from schemas.errors import UserError

BEGINNING = Beginning("raylift.training/1", {"optimization.epochs": 3, "lifter.filter_widths": (3, 3)}, "of tracks")


def test_an_output_is_known_again(tmp_path):
    assert BEGINNING.look_up(str(tmp_path), "tracks") is None
    BEGINNING.note(str(tmp_path), "run 7")
    assert BEGINNING.look_up(str(tmp_path), "tracks") == Begun("run 7", None)
    (tmp_path / "report.json").write_text('{"epochs": 3}')
    assert BEGINNING.look_up(str(tmp_path), "tracks") == Begun("run 7", {"epochs": 3})


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Beginning("raylift.search/1", BEGINNING.settings, "of tracks"), "holds the raylift.training/1 of another job"),
        (Beginning(BEGINNING.format, BEGINNING.settings, "of others"), "the tracks have changed since it was begun"),
        (
            Beginning(BEGINNING.format, {**BEGINNING.settings, "optimization.epochs": 4}, "of tracks"),
            "was begun with optimization.epochs=3, now optimization.epochs=4; give the same settings",
        ),
        (Beginning(BEGINNING.format, {}, "of tracks"), "was begun with lifter.filter_widths=.3, 3., now .*=None"),
    ],
)
def test_another_one_is_refused(tmp_path, other, message):
    BEGINNING.note(str(tmp_path), "run 7")
    with pytest.raises(UserError, match=message):
        other.look_up(str(tmp_path), "tracks")


def test_a_link_that_was_signed_anew_is_the_same_one(tmp_path):
    address = "https://tracks.example/a?X-Amz-Signature={}"
    Beginning("f/1", {"labeled": address.format("0123")}, "d").note(str(tmp_path), "run")
    again = Beginning("f/1", {"labeled": address.format("4567")}, "d")
    assert again.look_up(str(tmp_path), "tracks") == Begun("run", None)
    assert "0123" not in (tmp_path / "run.json").read_text()
