"""What a shell may write when Tab is pressed in a command line of `raylift`: jobs, recipes, fields and their values.

    complete -o nospace -o default -C 'raylift complete' raylift

tells bash to ask; where nothing is offered, it completes the names of files.
"""

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from jobs.command_line.arguments import TABLES, merge_arguments_leniently, plugin_config
from jobs.command_line.job_list import config_class, job_names
from jobs.command_line.recipes import recipe_names
from schemas.errors import UserError
from schemas.job_config import JobConfig, PluginConfig, PluginTable, paths
from schemas.typed_text import structure


def completions(line: str) -> list[str]:
    """What the last word of a command line may become; for `field=val`, only the part after the `=`.

    Args:
        line: The command line up to the cursor.
    """
    words = line.split()
    if line.endswith((" ", "\t")) or not words:
        words.append("")
    last = words[-1]
    if len(words) <= 2:
        return [f"{name} " for name in (*job_names(), "recipes", "--version") if name.startswith(last)]
    job = words[1]
    if job == "submit" and len(words) > 3:
        job = words[2]
    elif job == "submit":
        return [f"{name} " for name in (*job_names(), "status", "stop", "list", "logs") if name.startswith(last)]
    if job not in job_names():
        return []
    fields = dict(_fields(config_class(job), words[2:-1]))
    if job != words[1]:
        fields |= dict(_fields(config_class("submit"), ()))
    name, is_value, begun = last.partition("=")
    if is_value:
        return [f"{value} " for value in _values(fields.get(name)) if value.startswith(begun)]
    matching_fields = [f"{path}=" for path in fields if path.startswith(last)]
    return matching_fields + [f"{recipe} " for recipe in recipe_names() if last and recipe.startswith(last)]


def _fields(model: type[JobConfig], given: Any) -> Iterator[tuple[str, FieldInfo]]:
    """Every field with its path, and the options of the plug-ins that are chosen."""
    chosen = merge_arguments_leniently(model, list(given))
    for path, field in paths(model):
        yield path, field
        if table := _table(field):
            value = structure(chosen.get(path))
            name = value.get("name") if isinstance(value, dict) else value
            if name is None and isinstance(field.default, PluginConfig):
                name = field.default.name
            try:
                yield from paths(plugin_config(table, str(name)), f"{path}.")
            except UserError:
                continue  # the name is half typed


def _table(field: FieldInfo) -> str | None:
    return next((mark.name for mark in field.metadata if isinstance(mark, PluginTable)), None)


def _values(field: FieldInfo | None) -> list[str]:
    """The values that a field may have, if they are few enough to list."""
    if field is None:
        return []
    table = _table(field)
    return sorted(TABLES[table]) if table else list(_choices(field.annotation))


def _choices(annotation: Any) -> Iterator[str]:
    if annotation is bool:
        yield from ("true", "false")
    elif str(get_origin(annotation)) == "typing.Literal":
        yield from map(str, get_args(annotation))
    elif get_origin(annotation) is not tuple:
        for inner in get_args(annotation):
            yield from _choices(inner)
