"""Texts on MLflow's pages that lead to runs and models.

Their authors write `[trial 004](run:ID)` and `[its model](model:SHA256)`; only MLflow knows those pages' addresses.
"""

import re

from pipelines.mlflow_runs import logged_models
from pipelines.mlflow_runs.lazy import mlflow

_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<kind>run|model):(?P<id>\w*)\)")


def with_addresses(text: str, run_id: str) -> str:
    """Replace the links of a text by addresses of MLflow's pages; links that lead nowhere become plain words.

    Args:
        text: Markdown.
        run_id: The run that it describes, in whose experiment the others are.

    Raises:
        mlflow.MlflowException: The store cannot be used.
    """
    client = mlflow.MlflowClient()
    place = f"#/experiments/{client.get_run(run_id).info.experiment_id}"

    def address(link: re.Match[str]) -> str:
        page = f"runs/{link['id']}" if link["id"] else None
        if link["kind"] == "model":
            model_id = _model_id(run_id, link["id"])
            page = None if model_id is None else f"models/{model_id}"
        return link["text"] if page is None else f"[{link['text']}]({place}/{page})"

    return _LINK.sub(address, text)


def _model_id(run_id: str, sha256: str) -> str | None:
    try:
        model = logged_models.find(mlflow.MlflowClient(), run_id, sha256)
    except mlflow.MlflowException as error:
        if logged_models.is_too_old(error):
            return None
        raise
    return None if model is None else model.model_id
