"""A run of which the server was away when its job began: it begins once the server is there."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.mlflow_runs import experiments
from pipelines.mlflow_runs.entries import exists, last_logged_epoch
from pipelines.mlflow_runs.lazy import mlflow
from schemas.errors import UserError

if TYPE_CHECKING:
    from pipelines.mlflow_runs.runs import Run

_log = logging.getLogger(__name__)


def begin_later(
    run: "Run", name: str, tags: Mapping[str, str], params: Mapping[str, str], run_id: str | None, parent: str | None
) -> None:
    """Begin or continue a run by the first entry of its queue, which gives it its id.

    Args:
        run: Without an id yet.
        name: Its name.
        tags: Its tags.
        params: Its parameters.
        run_id: The run to continue; a new one begins if the store has none of this id.
        parent: The run that it is part of.
    """
    begun: list[str] = []  # an entry that fails is sent again, and must not begin a second run

    def begin() -> None:
        from mlflow.entities import Param
        from mlflow.tracking.context.registry import resolve_tags

        client = mlflow.MlflowClient()
        try:
            experiments.require_active()
            experiments.use()
        except UserError as error:
            _log.error("%s; nothing of this job is recorded", error)
            return
        if run_id and exists(run_id):
            client.update_run(run_id, status="RUNNING")
            run.logged_step = last_logged_epoch(run_id)
            run.run_id = run_id
            return
        if not begun:
            experiment = client.get_experiment_by_name(experiments.name())
            assert experiment is not None
            run.experiment_id = experiment.experiment_id
            of_parent = {"mlflow.parentRunId": parent} if parent else {}
            all_tags = resolve_tags({**tags, **of_parent})
            created = client.create_run(run.experiment_id, int(1000 * run.began_at), all_tags, name)
            begun.append(created.info.run_id)
        client.log_batch(begun[0], params=[Param(param, value) for param, value in params.items()])
        run.run_id = begun[0]

    run.queue.send(begin)
