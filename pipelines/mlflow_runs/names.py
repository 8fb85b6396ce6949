"""Names that MLflow takes; those of metrics may come from data, as of the action "Sit (on a chair)"."""

import re

# What MLflow takes in them, and how long they may be.
_REFUSED = re.compile(r"[^\w.\- :]")
_LONGEST = 250


def allowed(name: str) -> str:
    """The name, with what MLflow refuses in it replaced by `_`; parts are those of a path and joined by slashes."""
    parts = ("_" if part in ("", ".", "..") else _REFUSED.sub("_", part) for part in name.split("/"))
    return "/".join(parts)[:_LONGEST]
