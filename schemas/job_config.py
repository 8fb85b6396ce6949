"""One grammar for configuration: a frozen model per job, each field named by its dotted path everywhere.

`build` turns nested values into a config and reports every mistake at once; reading the values from recipes and
the command line is `jobs/command_line/arguments.py`.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from schemas.errors import UserError

# Given a plug-in table and a name in it, the config class of that plug-in's options.
PluginConfigs = Callable[[str, str], type["JobConfig"]]


class JobConfig(BaseModel):
    """A frozen config whose every field says what it is; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, coerce_numbers_to_str=True)


class PluginConfig(BaseModel):
    """Names a plug-in and holds its options, which the plug-in's own `Config` checks."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """A name of the plug-in table, or package.module:Class."""

    @property
    def options(self) -> dict[str, Any]:
        """What was given besides the name."""
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class PluginTable:
    """Marks a `PluginConfig` field with the table that its name is looked up in."""

    name: str


Config = TypeVar("Config", bound=JobConfig)


def build(model: type[Config], values: Mapping[str, Any], plugins: PluginConfigs) -> Config:
    """Check nested values against a config model and its plug-ins' models.

    Args:
        model: The job's config class.
        values: Nested values, as a recipe has them.
        plugins: Finds a plug-in's config class.

    Raises:
        UserError: One line per mistake, all of them: path, value, rule, nearest right name.
    """
    mistakes: list[str] = []
    merged = dict(values)
    for name, field, table in _plugin_fields(model):
        given = merged.get(name)
        chosen = dict(given) if isinstance(given, Mapping) else {"name": given} if given else {}
        default = field.default.name if isinstance(field.default, PluginConfig) else None
        plugin_name = chosen.pop("name", default)
        if plugin_name is None:
            continue  # no default: the job's model says that it is required
        try:
            options = plugins(table.name, str(plugin_name))
        except UserError as error:
            mistakes.append(f"{name}.name: {error}")
            merged[name] = {"name": str(plugin_name)}
            continue
        checked, wrong = _validate(options, chosen, f"{name}.")
        mistakes += wrong
        merged[name] = {"name": plugin_name, **(checked.model_dump() if checked else {})}
    config, wrong = _validate(model, merged)
    if config is None or mistakes:
        raise UserError("\n".join(wrong + mistakes))
    return config


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every leaf field of a config class with its dotted path, in the order written."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, JobConfig):
            yield from paths(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{field.alias or name}", field


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values as one level of dotted paths."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _validate(model: type[Config], values: Mapping[str, Any], prefix: str = "") -> tuple[Config | None, list[str]]:
    try:
        return model.model_validate(values), []
    except ValidationError as error:
        return None, [_explain(e, model, prefix) for e in error.errors()]


def _plugin_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, PluginTable]]:
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, PluginTable):
                yield name, field, mark


def _explain(error: ErrorDetails, model: type[BaseModel], prefix: str = "") -> str:
    # Union members appear in `loc` beside field names; only field names make the path.
    path = prefix + ".".join(str(part) for part in error["loc"] if not str(part).endswith("]"))
    if error["type"] == "missing":
        return f"{path}: is required; give {path}=…"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path, [prefix + p for p, _ in paths(model)], n=1)
        hint = f"; did you mean {near[0]}?" if near else "; --help lists the fields"
        return f"{path}={error['input']}: there is no such field{hint}"
    rule = error["msg"].removeprefix("Value error, ")
    return f"{path}={error['input']}: {rule[0].lower()}{rule[1:]}"
