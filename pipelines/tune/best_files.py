"""The best trial of a search as files: its model, and its config as a recipe of the train job."""

import yaml

from pipelines.io import storage
from pipelines.search.trial_values import trial_config
from pipelines.tune import trial_records
from pipelines.tune.ranking import Ranking
from pipelines.tune.trial_records import TrialRecord
from schemas.configs.train import ERROR_NAMES
from schemas.configs.tune import TuneConfig


def write_best(config: TuneConfig, ranking: Ranking) -> dict[str, bytes]:
    """Write best.pt and best.yaml of the best trial so far; returns their contents, none if there is no such trial.

    Raises:
        RunFailed: They cannot be written.
    """
    best, output = ranking.best, config.output
    if best is None:
        return {}
    model = storage.join(trial_records.trial_folder(output, best.number), "best.pt")
    files = {"best.pt": storage.read_bytes(model), "best.yaml": _recipe(config, ranking, best).encode()}
    for name, content in files.items():
        storage.write_bytes(storage.join(output, name), content)
    return files


def _recipe(config: TuneConfig, ranking: Ranking, best: TrialRecord) -> str:
    """The best trial as a recipe of the train job, which uses the whole machine."""
    trial = trial_config(config, best.parameters, trial_records.trial_folder(config.output, best.number))
    values = trial.model_dump(mode="json", exclude={"output"})
    values |= config.model_dump(mode="json", include={"labeled", "unlabeled"})
    values["resources"] = config.resources.model_dump(mode="json")
    assert best.best_mm is not None
    people = ", ".join(config.data.validation_subjects)
    lines = [
        f"# The best of {len(ranking.proposed)} trials of a hyperparameter search.",
        "#",
        f"#   raylift train {config.output}/best.yaml output={config.output}/best",
        "#",
        f"# Expected: {best.best_mm:.1f} mm {ERROR_NAMES[config.metric]} on the people held out ({people}),",
        f"# as trial {best.name} after epoch {best.best_epoch}; its model is {config.output}/best.pt.",
    ]
    if best.exploited:
        lines.append(
            "# Its values changed while it trained; these are the last ones, and may not reach it by themselves."
        )
    return "\n".join(lines) + "\n" + yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
