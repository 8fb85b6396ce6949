"""Pages and figures about a job's result, kept beside it and in its MLflow run."""

import logging
from collections.abc import Callable, Mapping

from pipelines.io import storage
from pipelines.io.secrets import redact
from pipelines.mlflow_runs import runs


def keep_page(draw: Callable[[], str], folder: str, name: str, record: runs.Run | None = None) -> None:
    """Draw a page, write it and log it; a page that cannot be drawn is only a warning, as the job's work is done.

    Args:
        draw: Returns the page.
        folder: Of the job's output.
        name: Of the page's file.
        record: The job's run; None: the page is not logged yet.
    """
    try:
        html = redact(draw())
        storage.write_bytes(storage.join(folder, name), html.encode())
        if record is not None:
            record.log_page(html, name)
    except Exception as error:
        logging.getLogger(__name__).warning("%s could not be drawn: %s", name, error, exc_info=True)


def keep_figures(draw: Callable[[], Mapping[str, bytes]], record: runs.Run) -> None:
    """Draw PNG files and log them, where MLflow's page shows them; that they cannot be drawn is a warning.

    Args:
        draw: Returns them by name.
        record: The job's run.
    """
    try:
        for name, content in draw().items():
            record.log_bytes(content, name, "figures")
    except Exception as error:
        logging.getLogger(__name__).warning("figures could not be drawn: %s", error, exc_info=True)
