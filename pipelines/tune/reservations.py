"""What trials reserved for their workers is freed, however they ended.

Ray Train gives back what it reserved, also if its controller is killed, but for a controller that is lost while its
workers start (2.60: the reservation is known to its cleaner only once they have started). Then the reservation moves
to another machine, and nobody ever uses it: a search would wait for those CPUs for ever.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.state import list_actors, list_placement_groups
from ray.util.state.exception import RayStateApiException

log = logging.getLogger(__name__)
# Workers are in what was reserved for them within moments; who is wrong about that costs a training another start.
LOOKING_INTERVAL_S = 10.0
MOST = 10_000
# What a busy head answers, one that restarts, one without a dashboard.
_NOT_TOLD = (RayStateApiException, ConnectionError, ValueError)


class Reservations(Callback):
    """Frees, while a search runs, what was in nobody's use at two looks one after another."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic()
        self._unused: set[str] = set()

    def on_step_end(self, iteration: int, trials: Sequence[Trial], **info: Any) -> None:
        """Look now and then."""
        if time.monotonic() - self._looked_at > LOOKING_INTERVAL_S:
            with suppress(*_NOT_TOLD):  # there is another look
                self._look()
            self._looked_at = time.monotonic()

    def _look(self) -> None:
        unused = _unused()
        for each in unused & self._unused:
            log.warning("search: freeing what a lost trial had reserved for its workers (placement group %s)", each)
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(each))))
        self._unused = unused - self._unused


def _unused() -> set[str]:
    """Ids of this job's reservations for workers in which no actor is."""
    context = ray.get_runtime_context()
    # Not whichever Ray is found: there may be several on this machine.
    job, address = context.get_job_id(), context.gcs_address
    groups: list[Any] = list_placement_groups(
        address=address, filters=[("creator_job_id", "=", job), ("state", "=", "CREATED")], limit=MOST, detail=True
    )
    reserved: set[str] = {
        group.placement_group_id
        for group in groups
        # Those of trials themselves hold memory only, and are Tune's own.
        if any({"CPU", "GPU"} & bundle["unit_resources"].keys() for bundle in group.bundles or ())
    }
    if not reserved:
        return reserved
    alive: list[Any] = list_actors(
        address=address, filters=[("job_id", "=", job), ("state", "!=", "DEAD")], limit=MOST, detail=True
    )
    return reserved - {actor.placement_group_id for actor in alive}
