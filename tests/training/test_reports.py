"""Epoch reports: what they are called where they are logged, and that reports of older checkpoints are still read."""

from dataclasses import asdict

import pytest

from pipelines.training.reports import EpochReport


def report(unit):
    return EpochReport(3, {"total": 0.5}, 1e-3, 100, unit, 4.0, 1.0, {})


@pytest.mark.parametrize("unit", ["frames", "people"])
def test_a_report_survives_a_checkpoint(unit):
    assert EpochReport.from_checkpoint(asdict(report(unit)), unit) == report(unit)


@pytest.mark.parametrize("unit", ["frames", "people"])
def test_reports_of_version_0_1_0_counted_everything_as_frames(unit):
    fields = asdict(report(unit))
    del fields["unit"]
    assert EpochReport.from_checkpoint({**fields, "frames": fields.pop("count")}, unit) == report(unit)


def test_the_rate_is_logged_in_what_was_counted():
    assert report("people").metrics()["people_per_s"] == 25
    assert report("frames").metrics()["frames_per_s"] == 25
