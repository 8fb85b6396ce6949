"""The one policy for faults of stores."""

import asyncio
import time

import pytest

from pipelines.io.stores import policy
from pipelines.io.stores.policy import PassingFault, Patience, StoreGone


class Store:
    """Answers as told: how many faults before an answer, how long each takes."""

    def __init__(self, faults, takes_s=0.0):
        self.faults, self.takes_s, self.asked = faults, takes_s, 0

    async def ask(self):
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        if self.asked <= self.faults:
            raise PassingFault("503 busy")
        return "answer"


def call(patience, store):
    return asyncio.run(patience.call(store.ask, lambda: "gs://bucket/x: the store"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(policy, "_SHORTEST_PAUSE_S", 0.001)


def test_faults_that_pass_are_outlasted():
    store = Store(faults=5)
    assert call(Patience(60), store) == "answer"
    assert store.asked == 6


def test_the_patience_counts_from_the_first_fault_not_from_the_call():
    assert call(Patience(0.2), Store(faults=1, takes_s=0.3)) == "answer"


def test_a_store_that_is_gone_is_left_alone_for_a_while_and_then_asked_once(monkeypatch):
    monkeypatch.setattr(policy, "_GONE_S", 0.2)
    patience = Patience(0.3)
    message = "gs://bucket/x: the store has failed for 0.3 s: 503 busy; what is finished is kept, run the same command"
    with pytest.raises(StoreGone, match=message):
        call(patience, Store(faults=10**6))
    for asked in (0, 1):
        store = Store(faults=10**6)
        with pytest.raises(StoreGone, match=message):
            call(patience, store)
        assert store.asked == asked
        time.sleep(0.25)
    assert call(patience, Store(faults=0)) == "answer"
    assert call(patience, Store(faults=3)) == "answer", "all is well again"
