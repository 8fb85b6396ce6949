"""Command lines: `[recipe ...] [field.path=value ...]` become nested values, and these a checked config.

A recipe is a YAML file, or one of those that are installed with the package, by its name. The bare name of a field
that is true or false means that it is true: `raylift tune finish …`. Here values are only put where they belong; what
their text means follows from their fields, see `schemas.typed_text`.
"""

import difflib
import os
import re
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from jobs.command_line.recipes import recipe_job, recipe_names, recipe_path
from pipelines import registry
from pipelines.io.addresses import absolute_path
from schemas.configs.search_space import merge_spaces
from schemas.errors import UserError
from schemas.job_config import JobConfig, Resolve, build, flatten, paths, takes_addresses
from schemas.typed_text import Typed, load_yaml, structure

Config = TypeVar("Config", bound=JobConfig)

TABLES = {
    "detectors": registry.DETECTORS,
    "lifters": registry.LIFTERS,
    "aligners": registry.ALIGNERS,
    "people_sources": registry.PEOPLE_SOURCES,
    "pose_sources": registry.POSE_SOURCES,
    "keypoint_sources": registry.KEYPOINT_SOURCES,
}
RECIPES = (".yaml", ".yml")
_FIELD = re.compile(r"-*\w+(\.\w+)*=")


def read_config(model: type[Config], arguments: Sequence[str], resolve: Resolve = absolute_path) -> Config:
    """The config that a command line describes: recipes first, in order, then single fields over them.

    Args:
        model: The job's config class.
        arguments: The command line.
        resolve: Applied to every address. By default it makes local paths absolute, because workers may run in other
            working directories than the driver.

    Raises:
        UserError: The command line is wrong; the message has a line for each mistake.
    """
    values, mistakes = _merge_all(model, arguments)
    fields, _ = _merge_all(model, [argument for argument in arguments if _is_field(model, argument)])
    mistakes += model.contradictions(values, flatten(fields))
    try:
        config = build(model, values, plugin_config, resolve)
    except UserError as error:
        lines = str(error).splitlines()
        if _misses_a_recipe(arguments, mistakes):  # the unread recipe may give the fields that seem missing
            lines = [line for line in lines if ": is required; give " not in line]
        raise UserError("\n".join([*mistakes, *lines])) from error
    if mistakes:
        raise UserError("\n".join(mistakes))
    return config


def merge_arguments(model: type[JobConfig], arguments: Sequence[str]) -> dict[str, Any]:
    """The nested values that a command line gives, its recipes included.

    Args:
        model: The job's config class.
        arguments: The command line.

    Raises:
        UserError: A recipe cannot be read; a line for each.
    """
    values, mistakes = _merge_all(model, arguments)
    if mistakes:
        raise UserError("\n".join(mistakes))
    return values


def merge_arguments_leniently(model: type[JobConfig], arguments: Sequence[str]) -> dict[str, Any]:
    """As `merge_arguments`, without the arguments that are wrong: `--help` answers a command that is half typed."""
    return _merge_all(model, arguments)[0]


def plugin_config(table: str, name: str) -> type[JobConfig]:
    """The config class of a plug-in's options."""
    return registry.config_class(TABLES[table], name)


def _misses_a_recipe(arguments: Sequence[str], mistakes: Sequence[str]) -> bool:
    """Whether a recipe could not be read."""
    recipes = [name for name in arguments if name.endswith(RECIPES) or name in recipe_names()]
    return any(mistake.startswith(f"{recipe}: ") for mistake in mistakes for recipe in recipes)


def _merge_all(model: type[JobConfig], arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Nested values, and a message for each argument that is neither a field nor a readable recipe."""
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for argument in sorted(arguments, key=lambda argument: _is_field(model, argument)):
        try:
            given = _assignment(argument) if _is_field(model, argument) else _recipe(argument, model)
            if isinstance(space := structure(given.get("search_space")), dict):
                # A dimension replaces an earlier recipe's dimension as a whole. Merging the two would mix different
                # kinds of values.
                del given["search_space"]
                earlier = values.get("search_space")
                values["search_space"] = earlier if isinstance(earlier, dict) else {}
                values["search_space"] = merge_spaces(values["search_space"], space)
            _merge(values, given)
        except UserError as error:
            mistakes.append(str(error))
    return values, mistakes


def _is_field(model: type[JobConfig], argument: str) -> bool:
    """Whether an argument is field=value or a bare yes/no field, not a recipe, whose path may also contain =."""
    if _is_flag(model, argument):
        return True
    if not _FIELD.match(argument):
        return "=" in argument and not argument.endswith(RECIPES)
    if not argument.endswith(RECIPES):
        return True
    name = re.split(r"[.=]", argument.lstrip("-"), maxsplit=1)[0]
    fields = {field.alias or name for name, field in model.model_fields.items()}
    # An unknown name is a misspelled field, and not a recipe, unless a file of that name exists.
    return name in fields or not os.path.isfile(argument)


def _is_flag(model: type[JobConfig], argument: str) -> bool:
    """Whether an argument is the bare name of a field that is true or false."""
    return argument.lstrip("-") in _flags(model)


def _flags(model: type[JobConfig]) -> list[str]:
    return [path for path, field in paths(model) if _is_yes_or_no(field.annotation)]


def _is_yes_or_no(annotation: Any) -> bool:
    return annotation is bool or set(get_args(annotation)) == {bool, type(None)}


def _assignment(argument: str) -> dict[str, Any]:
    path, equals, text = argument.partition("=")
    value: Any = Typed(text if equals else "true")
    for name in reversed(path.lstrip("-").split(".")):
        value = {name: value}
    return value


def _recipe(argument: str, model: type[JobConfig]) -> dict[str, Any]:
    installed = argument if argument in recipe_names() else None
    if installed:
        argument = str(recipe_path(installed))
    if not argument.endswith(RECIPES):
        name = argument.lstrip("-")
        if any(path == name for path, _ in paths(model)):
            raise UserError(f"{argument}: needs a value; give {name}=…")
        if os.path.exists(argument):
            fields = ", ".join(f"{path}=…" for path, field in paths(model) if takes_addresses(field))
            raise UserError(f"{argument}: is a file or folder; say what it is for: {fields} (--help explains them)")
        near = difflib.get_close_matches(name, [*recipe_names(), *_flags(model)], n=1)
        hint = f"; did you mean {near[0]}?" if near else "; --help lists the fields, `raylift recipes` the recipes"
        raise UserError(
            f"{argument}: is neither field=value nor a recipe (.yaml, or the name of an installed one){hint}"
        )
    from pipelines.io import storage  # here, because it loads PyArrow and fsspec, and most commands name no recipe

    try:
        values = load_yaml(storage.read_bytes(argument))
    except OSError as error:
        raise UserError(f"{argument}: the recipe cannot be read: {error.strerror or error}") from error
    except UserError as error:
        raise UserError(f"{argument}: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{argument}: a recipe holds fields with values, this one a {type(values).__name__}")
    if installed and not values.keys() <= {field.alias or name for name, field in model.model_fields.items()}:
        raise UserError(
            f"{installed}: is a recipe of the job {recipe_job(installed)}; `raylift recipes` lists those of each job"
        )
    return values


def _merge(values: dict[str, Any], more: dict[str, Any]) -> None:
    """Write nested values over others, in place."""
    for name, value in more.items():
        before = values.get(name)
        if isinstance(value, dict) or isinstance(before, dict):
            value, before = structure(value), structure(before)  # of {name: value}, typed as one field
        # A plug-in may be given by its bare name: `detector=blazepose detector.tiles=3` describe one field.
        if isinstance(value, dict) and isinstance(before, str):
            before = {"name": before}
        if isinstance(value, dict) and isinstance(before, dict):
            _merge(before, value)
            value = before
        values[name] = value
