"""The command line of `submit`: an action or a job comes first, then submit's own fields among those of the job."""

from collections.abc import Sequence
from typing import get_args

from jobs.command_line.arguments import read_config
from jobs.command_line.job_list import job_names
from schemas.configs.submit import Action, SubmitConfig
from schemas.errors import UserError

ACTIONS: tuple[str, ...] = get_args(Action)
# Submit's fields that are given as field=value; the position of a word gives the others.
OWN_FIELDS = set(SubmitConfig.model_fields) - {"action", "job", "arguments", "id"}
# These jobs are for this machine: on another one they would find nothing, or nobody would see their result.
LOCAL_JOBS = {"submit", "demo", "demo_multiview", "status", "lineage"}


def read_submit_config(arguments: Sequence[str]) -> SubmitConfig:
    """Submit's config; the job's own recipes and fields become `arguments` in it.

    Raises:
        UserError: There is no such job or action, or a field of `submit` is wrong.
    """
    own = [argument for argument in arguments if argument.partition("=")[0] in OWN_FIELDS and "=" in argument]
    others = [argument for argument in arguments if argument not in own]
    config = read_config(SubmitConfig, own)
    if not others or "=" in others[0]:
        raise UserError(f"submit: begin with a job ({', '.join(submittable())}), or status, stop, list or logs")
    first, *rest = others
    if first in ACTIONS and first != "submit":
        if (first == "list") != (not rest) or len(rest) > 1:
            raise UserError(f"submit {first}: takes {'nothing more' if first == 'list' else 'the id of one job'}")
        return config.model_copy(update={"action": first, "id": rest[0] if rest else None})
    if first not in submittable():
        raise UserError(f"there is no job {first!r} to submit; jobs: {', '.join(submittable())}")
    return config.model_copy(update={"job": first, "arguments": tuple(rest)})


def submittable() -> list[str]:
    """Jobs that may run on a cluster."""
    return [name for name in job_names() if name not in LOCAL_JOBS]
