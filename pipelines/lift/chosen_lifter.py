"""Loads the lifter that the config of a lift job names."""

from pipelines.datasets.body_measures import HEADS
from pipelines.lift.lifting import LoadedLifter
from pipelines.lifters.checkpoint import load_lifter
from pipelines.mlflow_runs import model_uris
from schemas.configs.lift import LiftConfig
from schemas.errors import UserError
from schemas.layouts import layout


def load_chosen(config: LiftConfig) -> LoadedLifter:
    """Fetch and load the lifter, and check that it can do what the options ask.

    Raises:
        UserError: There is no such model, or it cannot do what the options ask.
        RunFailed: The model's server cannot be reached.
    """
    fetched = model_uris.fetch(config.model)
    model, card = load_lifter(fetched.file, config.trust, fetched.sha256)
    refine = card.input == "person_centred" if config.refine is None else config.refine
    if refine and card.input != "person_centred":
        raise UserError("refine=true: needs a person-centred lifter, such as model=everyday; leave it out")
    if not refine and config.smoothness != 1:
        raise UserError(f"smoothness={config.smoothness:g}: only refined tracks are smoothed; leave it out")
    if config.stature_m is not None and not set(HEADS) & set(layout(card.output_layout).joints):
        raise UserError(
            f"stature_m={config.stature_m:g}: the lifter predicts no head ({card.output_layout}), so that nobody knows "
            "how tall its people are; leave it out"
        )
    options = (config.flip, refine, config.stature_m, config.smoothness)
    return LoadedLifter(model, card, fetched.name, fetched.sha256, *options)
