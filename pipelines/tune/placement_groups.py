"""Removes placement groups that a lost trial left behind, so that their CPUs return to the search.

Ray Train removes the placement group of its workers, even when its controller is killed. It does not when the
controller is lost while its workers start (Ray 2.60: its cleaner learns of the group only once they have started). The
group then moves to another machine and stays unused, and the search would wait for those CPUs for ever.
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
# A group is removed if it was unused at two checks in a row. Workers occupy theirs within moments of its creation;
# removing a group too early would only make its training start again.
CHECK_INTERVAL_S = 10.0
MOST_ROWS = 10_000
# Ray raises these while the head node is busy, restarts, or runs without a dashboard.
_UNAVAILABLE = (RayStateApiException, ConnectionError, ValueError)


class PlacementGroupCleaner(Callback):
    """Removes groups that were unused at two checks in a row, while a search runs."""

    def __init__(self) -> None:
        self._checked_at = time.monotonic()
        self._unused: set[str] = set()

    def on_step_end(self, iteration: int, trials: Sequence[Trial], **info: Any) -> None:
        """Check, if the last check was some time ago."""
        if time.monotonic() - self._checked_at > CHECK_INTERVAL_S:
            with suppress(*_UNAVAILABLE):  # the next check follows soon
                self._check()
            self._checked_at = time.monotonic()

    def _check(self) -> None:
        unused = _unused()
        for each in unused & self._unused:
            log.warning("search: freeing what a lost trial had reserved for its workers (placement group %s)", each)
            remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(each))))
        self._unused = unused - self._unused


def _unused() -> set[str]:
    """Ids of this job's placement groups for workers that hold no actor."""
    context = ray.get_runtime_context()
    # The cluster is named by its address, because several clusters may run on this machine.
    job, address = context.get_job_id(), context.gcs_address
    groups: list[Any] = list_placement_groups(
        address=address, filters=[("creator_job_id", "=", job), ("state", "=", "CREATED")], limit=MOST_ROWS, detail=True
    )
    reserved: set[str] = {
        group.placement_group_id
        for group in groups
        # Groups of the trials' own processes reserve only memory; Tune removes those.
        if any({"CPU", "GPU"} & bundle["unit_resources"].keys() for bundle in group.bundles or ())
    }
    if not reserved:
        return reserved
    alive: list[Any] = list_actors(
        address=address, filters=[("job_id", "=", job), ("state", "!=", "DEAD")], limit=MOST_ROWS, detail=True
    )
    return reserved - {actor.placement_group_id for actor in alive}
