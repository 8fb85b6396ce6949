"""How the machines of a cluster are divided among the workers of a training."""

import pytest
from pydantic import ValidationError

from pipelines.ray_cluster import session
from pipelines.training.fitting import cpus_of_worker, require_room_here, workers_on
from schemas.configs.resources import ResourcesConfig
from schemas.errors import UserError

GPU_NODE, CPU_NODE, HEAD = {"CPU": 8.0, "GPU": 2.0}, {"CPU": 32.0}, {"memory": 1e9}


@pytest.mark.parametrize(
    ("nodes", "wanted", "cpus"),
    [
        ([{"CPU": 4.0}, {"CPU": 4.0}], {"num_workers": 1}, 4),
        ([{"CPU": 4.0}, {"CPU": 4.0}], {"num_workers": 2}, 4),
        ([{"CPU": 4.0}, {"CPU": 4.0}], {"num_workers": 3}, 2),
        ([{"CPU": 2.0}], {"num_workers": 4}, 0.5),
        ([HEAD, CPU_NODE], {"num_workers": 5}, 6),
        ([HEAD, CPU_NODE, GPU_NODE], {"num_workers": 2, "use_gpu": True}, 4),
        ([HEAD, CPU_NODE, GPU_NODE, GPU_NODE], {"num_workers": 3, "use_gpu": True}, 4),
        ([CPU_NODE], {"num_workers": 2, "cpus_per_worker": 3}, 3),
    ],
)
def test_workers_get_as_many_cpus_as_fit_their_machines(nodes, wanted, cpus):
    assert cpus_of_worker(nodes, ResourcesConfig(**wanted)) == cpus


@pytest.mark.parametrize(
    ("nodes", "wanted", "message"),
    [
        (
            [CPU_NODE],
            {"use_gpu": True},
            "^resources.use_gpu=true: the machine has no GPU; give resources.use_gpu=false$",
        ),
        (
            [{"CPU": 4.0}, {"CPU": 4.0}],
            {"cpus_per_worker": 8},
            "^resources.cpus_per_worker=8: the largest of 2 machines has 4 CPUs; give at most as many$",
        ),
        (
            [CPU_NODE, {"CPU": 2.0, "GPU": 1.0}],
            {"use_gpu": True, "cpus_per_worker": 4},
            "^resources.cpus_per_worker=4: the largest of 2 machines has 2 CPUs beside its GPUs; give",
        ),
        ([HEAD], {}, "^resources.num_workers=1: there is room for 0 workers"),
        ([CPU_NODE], {"cpus_per_worker": 8, "num_workers": 5}, "num_workers=5: there is room for 4 workers of 8 CPUs"),
        (
            [GPU_NODE, GPU_NODE],
            {"use_gpu": True, "num_workers": 5},
            "num_workers=5: there is room for 4 workers of .* CPUs and 1 GPUs; give at most as many, or smaller ones$",
        ),
    ],
)
def test_workers_that_fit_nowhere_are_refused_at_once(nodes, wanted, message):
    with pytest.raises(UserError, match=message):
        cpus_of_worker(nodes, ResourcesConfig(**wanted))


def test_what_this_machine_has_not_is_told_before_ray_starts(monkeypatch):
    asked = ResourcesConfig(cpus_per_worker=4000)
    monkeypatch.setattr(session, "is_embedded", lambda: True)  # other tests of this process may have started Ray
    with pytest.raises(UserError, match="cpus_per_worker=4000: the machine has"):
        require_room_here(asked)
    monkeypatch.undo()
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:6379")
    require_room_here(asked)


def test_a_machine_without_gpus_holds_no_worker_that_uses_one():
    assert (workers_on(CPU_NODE, 4, 1), workers_on(CPU_NODE, 4, 0)) == (0, 8)


def test_small_trainings_share_cpus_and_gpus():
    assert workers_on({"CPU": 2.0}, 0.25, 0) == 8
    assert workers_on(GPU_NODE, 0.5, 0.25) == 8
    assert workers_on(GPU_NODE, 0.5, 0.4) == 4, "two on each GPU: no worker uses what is left of both"
    assert ResourcesConfig(use_gpu=True, gpus_per_worker=0.25).gpus == 0.25
    assert ResourcesConfig().gpus == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cpus_per_worker": 1.5}, "takes a whole number of CPUs, or a share of one"),
        ({"cpus_per_worker": 0}, "greater than 0"),
        ({"gpus_per_worker": 0.5}, "gpus_per_worker=0.5 needs use_gpu=true"),
        ({"use_gpu": True, "gpus_per_worker": 2}, "less than or equal to 1"),
        ({"cuda_graphs": True, "use_gpu": True}, "cuda_graphs=true needs compile=true and use_gpu=true"),
        ({"cuda_graphs": True, "compile": True}, "cuda_graphs=true needs compile=true and use_gpu=true"),
        (
            {"cuda_graphs": True, "compile": True, "use_gpu": True, "num_workers": 2},
            "a graph cannot hold what 2 workers send each other; give num_workers=1, or compile=true alone",
        ),
        ({"use_gpu": True, "gpus_per_worker": 0.5, "num_workers": 2}, "workers of one training cannot share a GPU"),
    ],
)
def test_shares_that_cannot_be_given_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        ResourcesConfig(**given)
