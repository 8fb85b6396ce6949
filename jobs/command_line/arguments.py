"""Command lines: `[recipe.yaml ...] [field.path=value ...]` to nested values, and the text of --help."""

import types
from collections.abc import Sequence
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipelines import registry
from pipelines.io import storage
from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig, PluginTable, build, paths

Config = TypeVar("Config", bound=JobConfig)

TABLES = {
    "detectors": registry.DETECTORS,
    "lifters": registry.LIFTERS,
    "people_sources": registry.PEOPLE_SOURCES,
    "pose_sources": registry.POSE_SOURCES,
}


def read_config(model: type[Config], arguments: Sequence[str]) -> Config:
    """The config that a command line stands for: recipes first, in order, then single fields over them.

    Raises:
        UserError: Every mistake, a line each.
    """
    values, mistakes = _read(arguments)
    try:
        config = build(model, values, plugin_config)
    except UserError as error:
        raise UserError("\n".join([*mistakes, str(error)])) from error
    if mistakes:
        raise UserError("\n".join(mistakes))
    return config


def merge_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """The nested values that a command line gives, its recipes included.

    Raises:
        UserError: A recipe cannot be read; a line for each.
    """
    values, mistakes = _read(arguments)
    if mistakes:
        raise UserError("\n".join(mistakes))
    return values


def plugin_config(table: str, name: str) -> type[JobConfig]:
    """The config class of a plug-in's options."""
    return registry.load(TABLES[table], name).Config


def help_text(job: str, summary: str, model: type[JobConfig], arguments: Sequence[str] = ()) -> str:
    """Every field of a job with type, default and meaning; of plug-ins, the options of those that `arguments` name.

    Raises:
        UserError: There is no such plug-in.
    """
    given, _ = _read([argument for argument in arguments if not argument.startswith("-")])
    lines = [summary, "", f"usage: raylift {job} [recipe.yaml ...] [field=value ...]", ""]
    for path, field in paths(model):
        lines += _describe(path, field)
        table = next((mark for mark in field.metadata if isinstance(mark, PluginTable)), None)
        if table:
            lines.append(f"      one of: {', '.join(sorted(TABLES[table.name]))}, or package.module:Class;")
            chosen = given.get(path)
            chosen = chosen.get("name") if isinstance(chosen, dict) else chosen
            if chosen:
                shown = [str(chosen)]
            elif isinstance(field.default, PluginConfig):
                shown = [field.default.name]
                lines.append(f"      options of another one: --help {path}=NAME;")
            else:  # one that must be named has no default to stand for the others
                shown = sorted(TABLES[table.name])
            for name in shown:
                lines.append(f"      options of {name}:")
                for option, inner in paths(plugin_config(table.name, name), f"{path}."):
                    lines += ["      " + line for line in _describe(option, inner)]
    return "\n".join(lines)


def _read(arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Nested values, and what is wrong with arguments themselves."""
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for argument in sorted(arguments, key=lambda a: "=" in a):
        try:
            _merge(values, _assignment(argument) if "=" in argument else _recipe(argument))
        except UserError as error:
            mistakes.append(str(error))
    return values, mistakes


def _describe(path: str, field: FieldInfo) -> list[str]:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        shown = "required"
    elif isinstance(default, PluginConfig):
        shown = f"default {default.name}"
    else:
        shown = f"default {'none' if default is None else default}"
    meaning = " ".join((field.description or "").split())
    return [f"  {path}=<{_type_name(field.annotation)}>  ({shown})", f"      {meaning}"]


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, PluginConfig):
        return "name"
    if origin is tuple:
        return f"[{_type_name(arguments[0])}, …]"
    if origin is types.UnionType or "Union" in str(origin):
        return "|".join(_type_name(a) for a in arguments)
    if str(origin) == "typing.Literal":
        return "|".join(map(str, arguments))
    if origin is not None and str(origin).endswith("Annotated"):
        return _type_name(arguments[0])
    return getattr(annotation, "__name__", str(annotation))


def _assignment(argument: str) -> dict[str, Any]:
    path, _, text = argument.partition("=")
    try:
        value: Any = yaml.safe_load(text) if text else ""
    except yaml.YAMLError:
        value = text  # e.g. a glob that begins with * is no YAML
    for name in reversed(path.lstrip("-").split(".")):
        value = {name: value}
    return value


def _recipe(argument: str) -> dict[str, Any]:
    if not argument.endswith((".yaml", ".yml")):
        raise UserError(f"{argument}: is neither field=value nor a recipe (.yaml); --help lists the fields")
    try:
        values = yaml.safe_load(storage.read_bytes(argument))
    except OSError as error:
        raise UserError(f"{argument}: the recipe cannot be read: {error.strerror or error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{argument}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{argument}: a recipe holds fields with values, this one a {type(values).__name__}")
    return values


def _merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        # A plug-in may stand as its bare name: `detector=blazepose detector.tiles=3` are one field.
        if isinstance(value, dict) and isinstance(values.get(name), str):
            values[name] = {"name": values[name]}
        if isinstance(value, dict) and isinstance(values.get(name), dict):
            _merge(values[name], value)
        else:
            values[name] = value
