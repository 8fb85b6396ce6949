"""MLflow databases for tests, copied from one whose tables exist.

MLflow creates the tables of a new database by all migrations since its first release, which takes seconds.
"""

import contextlib
import importlib.metadata
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[1]
CREATE = "import mlflow, sys; mlflow.MlflowClient(sys.argv[1]).search_experiments()"


def new_store(folder):
    """Put an empty MLflow database into a folder, made if need be, unless it has one already; returns its URI."""
    file = Path(folder, "mlflow.db")
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_template(), file)
    return f"sqlite:///{file}"


def own_artifacts(run_id):
    """The names of a run's artifacts, without those that every run has."""
    import mlflow

    names = [artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id)]
    return [name for name in names if name not in ("environment.json", "recipe.yaml", "uncommitted.diff")]


def inputs_of(run_id):
    """What a run has read, as MLflow has it."""
    import mlflow

    inputs = mlflow.get_run(run_id).inputs
    return inputs.dataset_inputs if inputs else []


def datasets_of(job):
    """What the newest run of a job has read: {(context, kind of source, name): profile}."""
    import mlflow

    of_job = {"filter_string": f"tags.`raylift.job` = '{job}'", "order_by": ["attributes.start_time DESC"]}
    run = mlflow.search_runs(search_all_experiments=True, output_format="list", max_results=1, **of_job)[0]
    return {
        (each.tags[0].value, each.dataset.source_type, each.dataset.name): json.loads(each.dataset.profile or "")
        for each in inputs_of(run.info.run_id)
    }


def _template() -> Path:
    """The database that others are copies of: made once for each version of MLflow, then kept."""
    file = ROOT / ".pytest_cache" / f"mlflow-{importlib.metadata.version('mlflow')}.db"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        with FileLock(f"{file}.lock"):
            if not file.exists():
                _create(file)
    return file


def _create(file: Path) -> None:
    unfinished = file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    # A process of its own: MLflow keeps the database open until its process ends.
    command = [sys.executable, "-c", CREATE, f"sqlite:///{unfinished}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    with contextlib.closing(sqlite3.connect(unfinished)) as database:
        # MLflow makes the default experiment again, with the artifact folder of the database that it then opens.
        database.execute("DELETE FROM experiments")
        database.commit()
        # Most of the file would be half-empty pages: every test copies it.
        database.execute("PRAGMA page_size = 512")
        database.execute("VACUUM")
    unfinished.rename(file)
