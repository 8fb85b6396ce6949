"""A key planted in an address is in nothing that jobs print, log or send to MLflow."""

import mlflow
from mlflow.artifacts import load_text

from jobs.command_line import main
from jobs.command_line.arguments import read_config
from pipelines.mlflow_runs import runs
from pipelines.mlflow_runs.child_runs import begin_child
from schemas.configs.label import LabelConfig

KEY = "planted-key"
VIDEO = f"https://me:{KEY}@host/clip.mp4?sig={KEY}"


def test_errors_do_not_show_it(capfd):
    model = f"http://me:{KEY}@127.0.0.1:9/best.pt?token={KEY}"
    assert main.run_job("evaluate", [f"model={model}", "data=nowhere"]) != 0
    captured = capfd.readouterr()
    assert "http://…@127.0.0.1:9/best.pt?token=…" in captured.err
    assert KEY not in captured.err + captured.out


def test_mlflow_does_not_get_it():
    config = read_config(LabelConfig, [f"videos={VIDEO}", "output=out"])
    with runs.record("label", config) as record:
        record.log_tags({"raylift.video": VIDEO})
        record.log_json({"failures": [{"video": VIDEO, "reason": f"{VIDEO}: gone"}]}, "report.json")
        record.log_page(f'<a href="{VIDEO}">', "report.html")
        child = begin_child(record, "trial", {"videos": VIDEO}, {})
        child.end("FINISHED")
    client = mlflow.MlflowClient()
    kept = [client.get_run(run_id) for run_id in (record.run_id, child.run_id)]
    texts = [load_text(f"runs:/{record.run_id}/{name}") for name in ("report.json", "report.html")]
    shown = "".join([*(str(run.to_dictionary()) for run in kept), *texts])
    assert shown.count("https://…@host/clip.mp4?sig=…") >= 5
    assert KEY not in shown
