"""Small lifters that differ in quality, jobs run on them, and a process that can import nothing of this repository."""

import sys

import mlflow
import torch
from evaluate.lifter_samples import CONFIG, last_layer, make_lifter
from mlflow.artifacts import load_dict

from jobs.command_line import main
from pipelines.lifters.checkpoint import LifterCard, save_lifter
from pipelines.lifters.model import LiftingModel, build_model
from schemas.configs.train import LifterInput
from schemas.job_config import PluginConfig
from schemas.layouts import layout


def coco_lifter(
    fps: float = 25.0, trajectory: bool = True, lifter_input: LifterInput = "screen", **config: object
) -> tuple[LiftingModel, LifterCard]:
    """A lifter from coco17 to h36m17, which share twelve joints; `config` are its options."""
    torch.manual_seed(1)
    options = {**CONFIG, **config}
    plugin = PluginConfig.model_validate({"name": "temporal_conv", **options})
    model = build_model(plugin, layout("coco17"), layout("h36m17"), trajectory, lifter_input)
    card = LifterCard(
        lifter="temporal_conv",
        config=options,
        input_layout="coco17",
        output_layout="h36m17",
        trajectory=trajectory,
        fps=fps,
        window=model.pose.window,
        input=lifter_input,
    )
    return model.eval(), card


def write_scaled(uri: str, scale: float) -> str:
    """A lifter whose poses are `scale` times as large: the larger, the further off; returns where."""
    model, card = make_lifter()
    with torch.no_grad():
        last_layer(model.pose).weight.mul_(scale)
    save_lifter(uri, model, card)
    return uri


def raylift(capfd, *arguments, job="register"):
    """Run a job in this process; returns (exit code, stdout, stderr)."""
    code = main.run_job(job, [str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, err


def aliases(name):
    return mlflow.MlflowClient().get_registered_model(name).aliases


def tags(name, version):
    return mlflow.MlflowClient().get_model_version(name, str(version)).tags


# Editable installs put this repository on every path, so that its packages have to be refused by name.
ISOLATED = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "pipelines", "schemas", "jobs"):
            raise ImportError(f"{name} is not to be imported here")
sys.meta_path.insert(0, Refuse())
"""


def isolated(code: str) -> list[str]:
    """The command of a Python that knows neither this repository nor Ray, nor the environment's PYTHONPATH."""
    return [sys.executable, "-I", "-c", ISOLATED + code]


def registration(run_id):
    """The report of a registration, which its run keeps."""
    return load_dict(f"runs:/{run_id}/registration.json")
