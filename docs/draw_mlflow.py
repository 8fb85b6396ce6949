"""Takes the screenshots of docs/mlflow.md: MLflow's pages of runs, a comparison, models, a model and a search.

It draws the lineage of the model, too.

make demo
raylift tune tune_small labeled=demo/poses/tracks output=search data.validation_subjects=[S003]
.venv/bin/python docs/draw_mlflow.py sqlite:///mlflow.db

It starts MLflow's server on the store for as long as it takes, and needs Debian's Chromium.
"""

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import PIL.Image
from mlflow.entities import Run
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage")
SIZE = {"width": 1400, "height": 800}
# Pictures are half as large, with so many colours: small files, and still legible.
SHOWN_WIDTH, COLOURS = 1050, 64
# Columns of the table of models that the picture leaves out.
HIDDEN = ("Status", "Logged from", "Source run", "Dataset", "Parameters")
# What a browser remembers of MLflow 3.17: the view of model training was chosen, the assistant has shown itself.
REMEMBERED = {"workflowType": "machine_learning", "assistant.fab.autoOpenedOnFirstLoad": True}
# A text that each page has once it has loaded.
SHOWN_BY = {
    "runs": "matching runs",
    "models": "Registered models",
    "compare": "Run details",
    "model": "Registered from",
    "search": "About this run",
}
# MLflow's pages go on drawing for a while after that.
SETTLED_MS, LOADED_MS = 6000, 120_000


def main(store: str) -> None:
    """Take all of them."""
    mlflow.set_tracking_uri(store)
    experiment = mlflow.get_experiment_by_name("raylift")
    assert experiment is not None, f"{store} has no runs of raylift"
    place, client = f"#/experiments/{experiment.experiment_id}", mlflow.MlflowClient()
    # The newest evaluation of each registered version; those of files have other parameters.
    newest_last = reversed(_runs(experiment.experiment_id, "evaluate"))
    named = {run.data.params["model"]: run.info.run_id for run in newest_last}
    evaluations = [run_id for name, run_id in named.items() if name.startswith("models:")][-3:]
    # The champion, whose page says more than that of a version which was refused.
    (model,) = (each for each in client.search_registered_models() if "champion" in each.aliases)
    version = client.get_model_version_by_alias(model.name, "champion")
    compared = ",".join(f'"{run_id}"' for run_id in evaluations)
    pages = {
        "runs": f"{place}/runs",
        "models": f"{place}/models",
        "compare": f"#/compare-runs?runs=[{compared}]&experiments=[{experiment.experiment_id!r}]".replace("'", '"'),
        "model": f"#/models/{version.name}/versions/{version.version}",
    }
    for search in _runs(experiment.experiment_id, "tune")[:1]:
        pages["search"] = f"{place}/runs/{search.info.run_id}"
    lineage = (f"models:/{version.name}/{version.version}", f"draw={FOLDER / 'lineage.svg'}")
    subprocess.run(
        [sys.executable, "-m", "jobs.lineage", *lineage], check=True, env=os.environ | {"MLFLOW_TRACKING_URI": store}
    )
    with _server(store) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        page = browser.new_page(viewport={**SIZE})  # pyright: ignore[reportArgumentType]
        page.set_default_timeout(LOADED_MS)
        for key, value in REMEMBERED.items():
            page.add_init_script(f"localStorage.setItem('mlflow.{key}_v1', {json.dumps(json.dumps(value))})")
        for name, path in pages.items():
            _shoot(page, f"{address}/{path}", name)
        browser.close()


def _runs(experiment: str, job: str) -> list[Run]:
    """The finished runs of a job, the newest first."""
    condition = f"tags.`raylift.job` = '{job}' and attributes.status = 'FINISHED'"
    runs = mlflow.MlflowClient().search_runs([experiment], condition, order_by=["attributes.start_time DESC"])
    return [run for run in runs if "raylift.trial" not in run.data.tags]


def _shoot(page: Page, address: str, name: str) -> None:
    page.goto("about:blank")
    page.goto(address)
    page.get_by_text(SHOWN_BY[name]).first.wait_for()
    page.wait_for_timeout(SETTLED_MS)
    if name == "runs":  # with the parts of each, from below, so that those above stay where they are
        for button in reversed(page.locator("[role=gridcell][col-id*='Run Name'] button").all()):
            button.click()
        page.wait_for_timeout(SETTLED_MS)
    if name == "compare":  # parameters and scores, which stand below the plots
        page.get_by_text("Parameters", exact=True).last.evaluate("each => each.scrollIntoView()")
    if name == "models":  # their scores stand behind what else is known of them
        page.get_by_role("button", name="Columns").click()
        for column in HIDDEN:
            page.get_by_text(column, exact=True).last.click()
        page.keyboard.press("Escape")
        page.wait_for_timeout(SETTLED_MS)
        table = page.locator(".ag-center-cols-viewport").first
        while not page.get_by_text("test/mpjpe_mm", exact=True).count():
            table.evaluate("each => { each.scrollLeft += 400 }")
            page.wait_for_timeout(500)
        page.get_by_text("test/mpjpe_mm", exact=True).first.scroll_into_view_if_needed()
        page.wait_for_timeout(SETTLED_MS)
    picture = PIL.Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    height = round(picture.height * SHOWN_WIDTH / picture.width)
    small = picture.resize((SHOWN_WIDTH, height), PIL.Image.Resampling.LANCZOS)
    small.quantize(COLOURS).save(FOLDER / f"mlflow_{name}.png", optimize=True)


@contextmanager
def _server(store: str) -> Iterator[str]:
    """MLflow's server; its address."""
    with socket.socket() as free_socket:
        free_socket.bind(("127.0.0.1", 0))
        port = free_socket.getsockname()[1]
    command = (sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--workers", "1")
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        # Seven processes for what no page here shows.
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                assert process.poll() is None, "MLflow's server has ended"
                assert time.monotonic() < deadline, "MLflow's server does not answer"
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
