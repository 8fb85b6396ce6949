"""The addresses of a tracking server's pages."""

import mlflow
import pytest

from pipelines.mlflow_runs import tracking_server


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("http://me:secret@mlflow:5000/prefix/", "http://mlflow:5000/prefix/#/experiments/7/runs/"),
        ("https://mlflow.example.org", "https://mlflow.example.org/#/experiments/7/runs/"),
        ("sqlite:///mlflow.db", None),
    ],
)
def test_pages_of_runs_are_those_of_the_server_without_its_password(own_tracking_store, address, page):
    mlflow.set_tracking_uri(address)
    assert tracking_server.runs_page("7") == page
    assert tracking_server.runs_page("") is None
