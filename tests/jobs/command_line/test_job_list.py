"""Jobs are found and described without importing them."""

import importlib
from typing import get_type_hints

import pytest

from jobs.command_line.job_list import config_class, job_names, summary


@pytest.mark.parametrize("job", job_names())
def test_the_config_class_found_by_name_is_what_the_job_takes(job):
    assert get_type_hints(importlib.import_module(f"jobs.{job}").main)["config"] is config_class(job)


@pytest.mark.parametrize("job", job_names())
def test_the_summary_is_the_first_line_of_the_docstring(job):
    documentation = importlib.import_module(f"jobs.{job}").__doc__ or ""
    assert summary(job) == documentation.partition("\n")[0] != ""
