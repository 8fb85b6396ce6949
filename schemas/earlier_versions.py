"""What the fields of configs count as in outputs of earlier versions, which did not have them all."""

from typing import Any

from pydantic import BaseModel

from schemas.job_config import JobConfig, PluginConfig, flatten


def values_if_absent(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """What each leaf field counts as in an output that does not say, because an earlier version wrote it.

    That is its default, or what `BEFORE` of its class says. Fields that are required or name a plug-in are left out,
    and those that no output says.

    Args:
        model: The config class.
        prefix: What the dotted paths begin with.
    """
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner, path = field.annotation, f"{prefix}{field.alias or name}"
        default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
        if isinstance(inner, type) and issubclass(inner, JobConfig):
            values |= values_if_absent(inner, f"{prefix}{name}.")
            # A field may start from a config with values other than the defaults of its class.
            given = default.model_dump(exclude_unset=True) if isinstance(default, JobConfig) else {}
            values |= flatten(given, f"{prefix}{name}.")
        elif not field.is_required() and not field.exclude and not isinstance(default, PluginConfig):
            values[path] = default
    for base in reversed(model.__mro__):
        values |= {f"{prefix}{path}": value for path, value in vars(base).get("BEFORE", {}).items()}
    return values
