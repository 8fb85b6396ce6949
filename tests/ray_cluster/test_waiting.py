"""What finds no room on the cluster is said, with what was asked for and what there is."""

import logging
from typing import Any

import pytest
import ray
from ray.util.placement_group import placement_group, remove_placement_group

from pipelines.ray_cluster.pools import Capacity, Pool, require_room
from pipelines.ray_cluster.waiting import told_if_nothing_fits
from schemas.errors import UserError


def started(**resources) -> Any:
    class Process:
        def answer(self) -> int:
            return 1

    return ray.remote(**resources)(Process).remote()


@pytest.mark.ray
def test_a_process_without_room_is_told_and_one_with_room_is_not(embedded_ray, caplog):
    # Starting its process may take longer than the watch waits, so it is placed before.
    fits = started(num_cpus=0.1)
    assert ray.get(fits.answer.remote()) == 1
    with caplog.at_level(logging.WARNING), told_if_nothing_fits("nothing", after_s=0.4) as watch:
        watch.wait(1)
    assert not caplog.messages
    waits = started(num_gpus=8)
    assert "asks for (8 GPUs): 1 machine, the largest with 2 CPUs and 1 GPUs; free now" in message_of("8 GPUs", caplog)
    ray.kill(waits)


@pytest.mark.ray
def test_a_group_of_workers_without_room_is_told(embedded_ray, caplog):
    group = placement_group([{"CPU": 1}] * 4)
    assert "asks for (4 workers): 1 machine" in message_of("4 workers", caplog)
    remove_placement_group(group)


def message_of(asked, caplog) -> str:
    with caplog.at_level(logging.WARNING), told_if_nothing_fits(asked, after_s=0.4) as watch:
        watch.wait(2)
    [message] = caplog.messages
    return message


def test_a_machine_alone_that_lacks_the_room_is_one_line():
    with pytest.raises(UserError, match=r"workers: 2 processes of 1 CPUs and 1 GPUs asked for, .* 4 CPUs and 0 GPUs"):
        require_room(Pool(2, 1.0, 1.0), Capacity(4.0))
    require_room(Pool(8, 0.5), Capacity(1.0))
