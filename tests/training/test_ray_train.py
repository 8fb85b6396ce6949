"""Trainings by Ray Train: which dashboard its processes ask, and workers that are lost before they train."""

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ray.exceptions import RayActorError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError
from train.training_samples import person, write

from pipelines.training.ray_train import ADDRESS, NO_DASHBOARD, own_dashboard, train_through_losses

LOST = ControllerError(RayActorError())
BUG = ControllerError(ValueError("a bug of Ray's"))
DIED = WorkerGroupError("a worker died", {0: RayActorError()})


class Trainer:
    """Fails with each of these errors, then ends well; counts its runs."""

    def __init__(self, *errors: Exception) -> None:
        self.runs, self._errors = 0, list(errors)

    def __call__(self) -> "Trainer":
        return self

    def fit(self) -> None:
        self.runs += 1
        if self._errors:
            raise self._errors.pop(0)


@pytest.mark.parametrize(
    ("errors", "max_restarts", "result", "runs"),
    [
        ([], 3, None, 1),
        ([LOST, LOST], 3, None, 3),
        ([LOST, LOST], 1, LOST, 2),
        # Ray Train itself has replaced the workers as often as it may.
        ([DIED], 3, DIED, 1),
        ([LOST, DIED], 3, DIED, 2),
        ([BUG], 3, BUG, 1),
    ],
)
def test_workers_that_are_lost_while_they_begin_are_started_again(errors, max_restarts, result, runs):
    trainer = Trainer(*errors)
    assert train_through_losses(trainer, max_restarts) is result  # pyright: ignore[reportArgumentType]
    assert trainer.runs == runs


@pytest.mark.ray
def test_the_users_own_address_of_a_dashboard_is_there_again_afterwards(embedded_ray, monkeypatch):
    monkeypatch.setenv(ADDRESS, "http://head:8265")
    with own_dashboard():
        assert os.environ[ADDRESS] == NO_DASHBOARD
    assert os.environ[ADDRESS] == "http://head:8265"
    monkeypatch.delenv(ADDRESS)
    with own_dashboard():
        assert os.environ[ADDRESS] == NO_DASHBOARD
    assert ADDRESS not in os.environ


class OtherDashboard(BaseHTTPRequestHandler):
    """Counts the requests."""

    requests = 0

    def do_GET(self) -> None:
        type(self).requests += 1
        self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@pytest.mark.ray
def test_no_other_dashboard_is_asked_whether_a_training_lives(embedded_ray, monkeypatch, tmp_path):
    """Another Ray's dashboard does not know the training; Ray Train would end its workers."""
    from jobs.command_line.main import run_job

    labeled = write(tmp_path / "labeled", person("a", 100), person("b", 100, subject="S2"))
    fields = ("data.validation_subjects=[S2]", "lifter.filter_widths=[3,3]", "lifter.channels=32")
    workers = ("resources.num_workers=2", "resources.cpus_per_worker=1", "optimization.epochs=2")
    with ThreadingHTTPServer(("127.0.0.1", 0), OtherDashboard) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(ADDRESS, f"http://127.0.0.1:{server.server_port}")
        try:
            assert run_job("train", [f"labeled={labeled}", f"output={tmp_path}/out", *fields, *workers]) == 0
        finally:
            server.shutdown()
    assert OtherDashboard.requests == 0
