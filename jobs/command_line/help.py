"""The text of `--help`: every field of a job with its type, default and meaning."""

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from jobs.command_line.arguments import TABLES, merge_arguments_leniently, plugin_config
from schemas.job_config import JobConfig, PluginConfig, PluginTable, paths
from schemas.typed_text import structure


def help_text(job: str, summary: str, model: type[JobConfig], arguments: Sequence[str] = ()) -> str:
    """Every field of a job; for plug-ins, the options of those that `arguments` name.

    Raises:
        UserError: There is no such plug-in.
    """
    values = merge_arguments_leniently(model, [argument for argument in arguments if not argument.startswith("-")])
    lines = [summary, "", f"usage: raylift {job} [recipe.yaml ...] [field=value ...]", ""]
    for path, field in paths(model):
        lines += _describe(path, field)
        if table := _table(field):
            lines += _describe_plugins(path, field, table.name, values.get(path))
    return "\n".join(lines)


def _describe(path: str, field: FieldInfo) -> list[str]:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined:
        shown = "required"
    elif isinstance(default, PluginConfig):
        shown = f"default {default.name}"
    else:
        shown = f"default {'null' if default is None else default}"
    meaning = " ".join((field.description or "").split())
    return [f"  {path}=<{_type_name(field.annotation)}>  ({shown})", f"      {meaning}"]


def _describe_plugins(path: str, field: FieldInfo, table: str, value: Any) -> Iterator[str]:
    """The names of a plug-in table and the options of the plug-in that was chosen, else of the default one."""
    yield f"      one of: {', '.join(sorted(TABLES[table]))}, or package.module:Class;"
    value = structure(value)
    chosen = value.get("name") if isinstance(value, dict) else value
    if chosen:
        names = [str(chosen)]
    elif isinstance(field.default, PluginConfig):
        names = [field.default.name]
        yield f"      options of another one: --help {path}=NAME;"
    else:  # the field is required, so no plug-in is more likely than another
        names = sorted(TABLES[table])
    for name in names:
        yield f"      options of {name}:"
        for option, inner in paths(plugin_config(table, name), f"{path}."):
            yield from ("      " + line for line in _describe(option, inner))
            if within := _table(inner):
                nested = value.get(option.rsplit(".", 1)[1]) if isinstance(value, dict) else None
                yield from ("      " + line for line in _describe_plugins(option, inner, within.name, nested))


def _table(field: FieldInfo) -> PluginTable | None:
    """The table in which the name of a plug-in field is looked up; None for other fields."""
    return next((mark for mark in field.metadata if isinstance(mark, PluginTable)), None)


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
    if origin is Annotated:
        return _type_name(arguments[0])
    return getattr(annotation, "__name__", str(annotation))
