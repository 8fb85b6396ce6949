"""The best trial of a search as files: its model, and its config as a recipe of the train job."""

import yaml

from pipelines.io import storage
from pipelines.search.trial_values import trial_config
from pipelines.tune import trial_records
from pipelines.tune.ranking import Ranking, results
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.search_metrics import METRIC_NAMES
from schemas.configs.train import ERROR_NAMES
from schemas.configs.tune import TuneConfig

# The folder in the output with the recipes of a front's trials.
FRONT_FOLDER = "front"


def write_best(config: TuneConfig, ranking: Ranking) -> dict[str, bytes]:
    """Write best.pt and best.yaml of the best trial so far; returns their contents, none if there is no such trial.

    Raises:
        RunFailed: The files cannot be written.
    """
    best, output = ranking.best, config.output
    if best is None:
        return {}
    model = storage.join(trial_records.trial_folder(output, best.number), "best.pt")
    heading = f"The best of {len(ranking.proposed)} trials of a hyperparameter search."
    recipe = _recipe(config, best, heading, "best", "")
    files = {"best.pt": storage.read_bytes(model, unparsed=True), "best.yaml": recipe.encode()}
    for name, content in files.items():
        storage.write_bytes(storage.join(output, name), content)
    return files


def write_front(config: TuneConfig, ranking: Ranking) -> dict[str, bytes]:
    """Write a recipe for each trial of the front of a search by several metrics; returns them by their names.

    Raises:
        RunFailed: The recipes cannot be written.
    """
    folder = storage.join(config.output, FRONT_FOLDER)
    storage.remove_folder(folder)
    if len(config.metrics) == 1:
        return {}
    files: dict[str, bytes] = {}
    for record in ranking.front:
        heading = f"One of {len(ranking.front)} trials of the front of a hyperparameter search."
        name = f"{FRONT_FOLDER}/{record.name}"
        files[f"{name}.yaml"] = _recipe(config, record, heading, name, f"trials/{record.name}/").encode()
    for name, content in files.items():
        storage.write_bytes(storage.join(config.output, name), content)
    return files


def _recipe(config: TuneConfig, best: TrialRecord, heading: str, name: str, models: str) -> str:
    """A trial as a recipe of the train job, which uses the whole machine."""
    trial = trial_config(config, best.parameters, trial_records.trial_folder(config.output, best.number))
    values = trial.model_dump(mode="json", exclude={"output"})
    values |= config.model_dump(mode="json", include={"labeled", "unlabeled"})
    values["resources"] = config.resources.model_dump(mode="json")
    people = ", ".join(config.data.validation_subjects)
    shown = results(config, best)
    error = shown.pop(config.error_metric)
    others = "".join(f", {shown[metric]:,.4g} {METRIC_NAMES[metric]}" for metric in config.metrics if metric in shown)
    lines = [
        f"# {heading}",
        "#",
        f"#   raylift train {config.output}/{name}.yaml output={config.output}/{name}",
        "#",
        f"# Expected: {error:.1f} mm {ERROR_NAMES[config.error_metric]} on the people held out ({people}){others},",
        f"# as trial {best.name} after epoch {best.best_epoch}; its model is {config.output}/{models}best.pt.",
    ]
    if best.exploited:
        lines.append(
            "# Its values changed while it trained; these are the last ones, and may not reach it by themselves."
        )
    return "\n".join(lines) + "\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
