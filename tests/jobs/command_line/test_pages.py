"""Pages are kept beside a job's result and in its run; work that is done stays done without them."""

import mlflow
from mlflow_store import own_artifacts

from jobs.command_line.pages import keep_page
from pipelines.mlflow_runs import runs
from schemas.configs.label import LabelConfig


def kept(draw, folder):
    """Keep a page in a run; returns the names of its artifacts."""
    with runs.record("label", LabelConfig(videos="v", output=str(folder))) as record:
        keep_page(draw, str(folder), "page.html", record)
    assert mlflow.get_run(record.run_id).info.status == "FINISHED"
    return own_artifacts(record.run_id)


def test_a_page_is_written_and_logged(tmp_path, caplog):
    assert kept(lambda: "<p>page</p>", tmp_path / "out") == ["page.html"]
    assert (tmp_path / "out" / "page.html").read_text() == "<p>page</p>"
    assert not caplog.records


def test_a_page_that_cannot_be_drawn_is_a_warning(tmp_path, caplog):
    def draw():
        raise OSError("the disk is gone")

    assert kept(draw, tmp_path / "out") == []
    assert "page.html could not be drawn: the disk is gone" in caplog.text
