"""How many trials a cluster has room for, without a cluster."""

import pytest
import ray
from tune.search_samples import tune_config

from pipelines.tune import capacity
from pipelines.tune.capacity import GrowingCapacity, process_resources, trial_capacity
from schemas.errors import UserError

GIB = 2**30


@pytest.fixture
def machines(monkeypatch):
    """The machines of the cluster, as (CPUs, GPUs); it may be changed."""
    present: list[tuple[int, int]] = [(2, 0)]

    def nodes():
        return [{"Alive": True, "Resources": {"CPU": cpus, "GPU": gpus, "memory": 8 * GIB}} for cpus, gpus in present]

    monkeypatch.setattr(ray, "nodes", nodes)
    monkeypatch.setattr(capacity.session, "connect", lambda **named: None)
    monkeypatch.setattr(capacity, "COUNT_EVERY_S", -1.0)
    return present


def test_more_trials_run_when_machines_join_and_fewer_when_they_leave(machines):
    config = tune_config()
    room = GrowingCapacity(config, trial_capacity(config, 20).trials)
    assert room.trials == 2
    machines.append((4, 0))
    assert room.trials == 6
    machines.clear()
    assert room.trials == 1, "another machine may come"


def test_no_more_run_than_were_asked_for(machines):
    machines.append((8, 0))
    config = tune_config("max_concurrent_trials=3")
    assert GrowingCapacity(config, trial_capacity(config, 20).trials).trials == 3


def test_small_trainings_share_cpus_and_gpus(machines):
    machines[:] = [(8, 1)]
    config = tune_config("resources.use_gpu=true", "resources.gpus_per_worker=0.25", "resources.cpus_per_worker=0.5")
    assert trial_capacity(config, 20).trials == 4
    assert process_resources(config.resources) == {"CPU": 0.5, "GPU": 0.25, "memory": capacity.TRIAL_MEMORY_BYTES}


def test_ray_train_reserves_what_several_workers_need(machines):
    config = tune_config("resources.num_workers=2")
    assert set(process_resources(config.resources)) == {"memory"}
    assert trial_capacity(config, 20).trials == 1
    with pytest.raises(UserError, match=r"resources.num_workers=3: there is room for 2 workers of 1 CPUs"):
        trial_capacity(tune_config("resources.num_workers=3"), 20)


def test_what_a_search_asks_for_is_told_in_words():
    config = tune_config("resources.cpus_per_worker=2")
    assert capacity.in_words(config.resources, capacity.TrialCapacity(3, 3)) == "3 trials of 1 workers of 2 CPUs each"
