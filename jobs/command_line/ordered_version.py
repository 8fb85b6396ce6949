"""Checks that a submitted job is run by the version of Raylift that checked its command."""

import os

from schemas import __version__
from schemas.errors import UserError

# `submit` sets it in the environment of the job that it starts: its own version.
ORDERED_BY = "RAYLIFT_ORDERED_BY"


def require_ordered_version() -> None:
    """Refuse a job of another version's `submit`; elsewhere do nothing.

    Ray's server does not know which Raylift its machines have, therefore the job itself compares the versions, before
    it does anything.

    Raises:
        UserError: The versions differ.
    """
    theirs = os.environ.get(ORDERED_BY, __version__)
    if theirs != __version__:
        raise UserError(
            f"{ORDERED_BY}={theirs}: submit is Raylift {theirs}, the cluster has {__version__}, which may read the "
            f"same command otherwise; install Raylift {__version__} where you submit, or {theirs} on the cluster"
        )
