"""Workers that do not fit the machines of a cluster wait for others, if the user allows it."""

import logging

import pytest
from ray.util.placement_group import placement_group_table

from pipelines.training import room
from pipelines.training.room import cpus_of_worker_here
from schemas.configs.resources import ResourcesConfig
from schemas.errors import RunFailed, UserError


def test_workers_that_nobody_waits_for_are_refused(monkeypatch):
    monkeypatch.setattr(room, "machine_resources", lambda: [{"CPU": 4.0}])
    message = "the machine has no GPU; give resources.use_gpu=false, or resources.wait_s=1800 where an autoscaler adds"
    with pytest.raises(UserError, match=message):
        cpus_of_worker_here(ResourcesConfig(use_gpu=True))


def test_machines_that_come_in_time_are_used(monkeypatch):
    present = [{"CPU": 1.0}]

    def wait(resources, missing):
        assert missing == "resources.use_gpu=true: the machine has no GPU"
        present.append({"CPU": 8.0, "GPU": 2.0})

    monkeypatch.setattr(room, "machine_resources", lambda: present)
    monkeypatch.setattr(room, "_wait", wait)
    assert cpus_of_worker_here(ResourcesConfig(use_gpu=True, num_workers=2, wait_s=60)) == 4


@pytest.mark.ray
def test_machines_that_do_not_come_fail_the_job_and_are_not_asked_for_any_longer(embedded_ray, caplog):
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(RunFailed, match=r"^resources.wait_s=0.5: no machines have come \(resources.num_workers=3: "),
    ):
        cpus_of_worker_here(ResourcesConfig(num_workers=3, cpus_per_worker=2, wait_s=0.5))
    assert caplog.messages[0].startswith("waiting for room for 3 workers of 2 CPUs each, 0.5 s at most")
    assert {group["state"] for group in placement_group_table().values()} <= {"REMOVED"}
