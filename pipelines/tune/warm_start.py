"""Trials of earlier searches, from which the sampler of a new one learns."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.io import json_documents, storage
from pipelines.mlflow_runs.entries import flat_params
from pipelines.mlflow_runs.trainings import find_trainings, names_trainings
from pipelines.search.conditions import active_values, missing, outside
from pipelines.search.optuna_study import Ending
from pipelines.search.trial_values import own_values
from pipelines.tune import trial_records
from pipelines.tune.ranking import results
from pipelines.tune.trial_records import MANIFEST, TrialRecord
from schemas.configs.search_metrics import read_limits
from schemas.configs.search_space import LIFTER, Space
from schemas.configs.train import ERROR_NAMES, TrainConfig
from schemas.configs.tune import SearchConfig, TuneConfig
from schemas.earlier_versions import values_if_absent
from schemas.errors import UserError, value_of
from schemas.job_config import flatten

Earlier = tuple[Mapping[str, Any], Ending]


def read_earlier(config: TuneConfig, space: Space, data: str) -> list[Earlier]:
    """The trials of earlier searches that can be compared with those of a new one.

    Args:
        config: The new search; `warm_start` names the outputs of the earlier ones, or trainings in MLflow.
        space: What it searches.
        data: Digest of its tracks.

    Raises:
        UserError: An output holds no search, or one with other tracks or settings; or MLflow knows no such
            trainings.
        RunFailed: MLflow's server cannot be used.
    """
    places = (config.warm_start,) if isinstance(config.warm_start, str) else config.warm_start or ()
    return [
        trial
        for place in places
        for trial in (_logged if names_trainings(place) else _recorded)(place, config, space, data)
    ]


def ending_of(config: TuneConfig, record: TrialRecord) -> Ending:
    """How an ended trial ended, in the form that samplers learn from."""
    assert record.state != "running"
    trial_results = results(config, record)
    excess = {
        limit.text: limit.excess(trial_results)
        for limit in read_limits(config.constraints)
        if limit.metric in trial_results
    }
    if record.hopeless or record.state != "finished":
        return Ending("infeasible" if record.hopeless else record.state, record.counted_mm, excess=excess)
    metrics = config.metrics if len(config.metrics) > 1 else ()
    if not trial_results.keys() >= {*metrics}:
        return Ending("failed")  # an earlier search did not measure all metrics
    return Ending("finished", record.counted_mm, tuple(trial_results[name] for name in metrics), excess)


def _recorded(output: str, config: TuneConfig, space: Space, data: str) -> list[Earlier]:
    with json_documents.damage(f"warm_start={output}"):
        return list(_trials(output, config, space, data))


def _trials(output: str, config: TuneConfig, space: Space, data: str) -> Iterator[Earlier]:
    uri = storage.join(output, MANIFEST)
    if not storage.exists(uri):
        raise UserError(f"warm_start={output}: holds no search; give the output of one")
    manifest = json_documents.read(uri, data=str, settings=dict)
    if manifest["data"] != data:
        raise UserError(
            f"warm_start={output}: its trials saw other tracks, so their errors cannot be compared; leave it out"
        )
    own = own_values(config, space)
    earlier = manifest["settings"].get("metric", config.error_metric)
    # A search for a front chose the best epochs by the first error in its list of metrics.
    error = earlier if isinstance(earlier, str) else next((name for name in earlier if name in ERROR_NAMES), None)
    if error != config.error_metric:
        raise UserError(
            f"warm_start={output}: its trials were compared by {error}, not by {config.error_metric}; give metric="
            f"{error}, or leave warm_start out"
        )
    for record in trial_records.read_trials(output):
        # Members of a population change their values while they train, so they are left out.
        if record.ended and not record.exploited and record.repeats is None:
            lifter = record.parameters.get(LIFTER, manifest["settings"][LIFTER])
            trained = {**_beside(lifter, manifest["settings"]), **record.parameters}
            others = {path: v for path, v in _beside(lifter, _compared(config)).items() if path not in space}
            _require_same(output, trained, {p: v for p, v in others.items() if p not in record.parameters})
            # Fields that only the earlier search varied may have other values than the new config in some of its
            # trials.
            if all(trained[path] == others[path] for path in others.keys() & record.parameters.keys()):
                values = active_values(space, {**own, **{p: v for p, v in trained.items() if p in space}})
                if not missing(space, values):
                    yield values, ending_of(config, record)


def _logged(address: str, config: TuneConfig, space: Space, data: str) -> Iterator[Earlier]:
    """Finished trainings that MLflow knows; those with other settings are left out."""
    if len(config.metrics) > 1:
        raise UserError(f"warm_start={address}: MLflow knows no costs of lifters; give the output of a search")
    uri = storage.join(config.output, MANIFEST)
    # A search that continues already has its own trials.
    own_run = json_documents.read(uri, run_id=str)["run_id"] if storage.exists(uri) else None
    with value_of("warm_start"):
        trainings = find_trainings(address, data, config.error_metric, own_run)
    comparable = [
        (values, training) for training in trainings if (values := _logged_values(training.params, config, space))
    ]
    if not comparable:
        raise UserError(
            f"warm_start={address}: none of {len(trainings)} finished trainings over these tracks has the settings of "
            "this search; give another place, or leave warm_start out"
        )
    for values, training in comparable:
        warmup = 0 if config.unlabeled is None else int(training.params["objective.warmup_epochs"])
        counted_mm = {epoch: score_mm for epoch, score_mm in training.scores.items() if epoch > warmup}
        if counted_mm:
            yield values, Ending("finished", counted_mm)


def _logged_values(params: Mapping[str, str], config: TuneConfig, space: Space) -> dict[str, Any] | None:
    """The values of a training, from its settings as MLflow's texts; None if it cannot be compared."""
    known = {**flat_params(values_if_absent(TrainConfig)), **params}
    expected = flat_params(_compared(config))
    compared = {path: text for path, text in _beside(known.get(LIFTER, ""), expected).items() if path not in space}
    if any(known.get(path) != text for path, text in compared.items()):
        return None
    values = own_values(config, space)
    for path in params.keys() & space.keys():
        dimension = space[path]
        if dimension.kind == "choice":
            values[path] = next((value for value in dimension.values if str(value) == params[path]), None)
        else:
            values[path] = int(params[path]) if dimension.is_whole else float(params[path])
    values = active_values(space, values)
    return None if missing(space, values) or outside(space, values) else values


def _beside(lifter: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that matter to a lifter: the options of another one do not."""
    if settings[LIFTER] == lifter:
        return settings
    return {path: value for path, value in settings.items() if path == LIFTER or not path.startswith("lifter.")}


def _compared(config: TuneConfig) -> dict[str, Any]:
    """The settings that must be equal for a comparison: all of the training except the resources."""
    ignored = {*SearchConfig.model_fields, "resources"}
    return json_documents.as_read(flatten(config.model_dump(mode="json", exclude=ignored)))


def _require_same(output: str, trained: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    for path, value in settings.items():
        if trained.get(path) != value:
            raise UserError(
                f"warm_start={output}: its trials have {path}={trained.get(path)}, now it is {value}, so their errors "
                "cannot be compared; give the same, search it, or leave warm_start out"
            )
