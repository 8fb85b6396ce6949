"""Workers that stand still are named, with those that wait for them."""

import threading
import time

import pytest

from pipelines.training.heartbeat import Heartbeats, Place, beating


def test_a_silent_worker_is_told_from_one_that_waits():
    hearts = Heartbeats(after_s=10)
    for now in range(10):
        hearts.beat(0, Place("train/loop.py:230", 3), now)
    hearts.beat(1, Place("train/loop.py:7", 3), 1)
    assert hearts.standing_still(9) is None, "the first worker came to this line 9 s ago"
    hearts.beat(0, Place("train/loop.py:230", 3), 10)
    line = str(hearts.standing_still(11.5))
    assert (
        "nothing has moved for 10 s: worker 0 waits at train/loop.py:230, worker 1 has been silent for 10 s, since"
        in (line)
    )
    hearts.beat(0, Place("train/loop.py:230", 3), 49)
    assert hearts.standing_still(50) is None, "it is said once"
    hearts.beat(0, Place("train/loop.py:7", 4), 50)
    hearts.beat(0, Place("train/loop.py:7", 4), 59)
    assert hearts.standing_still(61) is not None, "and again after it has gone on"


def test_workers_that_are_all_silent_are_being_replaced():
    hearts = Heartbeats(after_s=10)
    hearts.beat(0, Place("train/loop.py:230", 3), 0)
    hearts.beat(1, Place("train/loop.py:230", 3), 1)
    assert hearts.standing_still(50) is None


def test_workers_that_move_are_left_alone():
    hearts = Heartbeats(after_s=10)
    for now in range(0, 60, 5):
        hearts.beat(0, Place("train/loop.py:230", now), now)
        hearts.beat(1, Place("train/loop.py:230", 3), now)
        assert hearts.standing_still(now) is None, "steps count though the line is always the same"


def test_workers_that_have_told_nothing_are_no_concern():
    assert Heartbeats(after_s=0.1).standing_still(1e9) is None


def test_a_thread_tells_where_the_worker_is_until_the_end():
    places: list[Place] = []
    with beating(places.append, given_up_after_s=0.1):
        time.sleep(0.2)
    assert places[-1].where == "?", "no line of the project is executed"
    assert not any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_a_job_that_is_gone_disturbs_no_worker():
    def tell(place):
        raise ConnectionError("gone")

    with beating(tell, given_up_after_s=0.1):
        time.sleep(0.05)


def test_waiting_has_a_limit_that_can_be_waited_for():
    from pydantic import ValidationError

    from schemas.configs.resources import ResourcesConfig

    with pytest.raises(ValidationError, match="greater than or equal to 10"):
        ResourcesConfig(stall_s=1)
