"""A search as pictures: files that can be opened, and only those that show something."""

import io

import PIL.Image
import pytest
from report.pages.test_search_page import report, search, trial

from pipelines.report.pages.search_page import importances
from pipelines.report.search_figures import search_figures


@pytest.mark.parametrize(
    ("shown", "files"),
    [
        (search(), ["history.png", "importance.png"]),
        (report(trial(1), trial(2)), ["history.png"]),
        (report(trial(1, 0, state="failed")), []),
    ],
)
def test_what_is_known_is_drawn(shown, files):
    drawn = search_figures(shown, importances(shown))
    assert sorted(drawn) == files
    for content in drawn.values():
        image = PIL.Image.open(io.BytesIO(content))
        assert image.format == "PNG"
        assert image.width > 600


def test_shares_of_importance_have_short_names():
    shares = importances(search())
    assert set(shares) == {"learning_rate", "filter_widths", "bone_length", "amsgrad"}
    assert sum(shares.values()) == pytest.approx(1)
