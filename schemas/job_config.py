"""The base class of job configs, and `build`, which turns nested values into a config.

A field has the same name everywhere, its dotted path: in recipes, on the command line, in search spaces and among
MLflow parameters. `jobs/command_line/arguments.py` reads the values from recipes and the command line.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo

from schemas.errors import UserError
from schemas.mistakes import explain
from schemas.typed_text import read

# Takes a plug-in table and a name in it, and returns the config class of that plug-in's options.
PluginConfigs = Callable[[str, str], type["JobConfig"]]

# Makes an address independent of the working directory.
Resolve = Callable[[str], str]


_MISSING = "an address is missing; give one"
_HUB_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
# Addresses of these kinds may begin with a path, because they need no host.
_WITHOUT_HOST = ("file", "memory", "hdfs")


@dataclass(frozen=True)
class AddressRule:
    """Validator of fields that hold the address of a file or folder: `build` makes such addresses absolute.

    Attributes:
        words: Values that stand for something else and stay as they are.
        names: Whether names of Hugging Face (OWNER/MODEL) stay as they are, unless there is such a file.
    """

    words: tuple[str, ...] = ()
    names: bool = False

    def __call__(self, value: str, info: ValidationInfo) -> str:
        """Resolve an address, if the config is being read by `build` with a resolver.

        Raises:
            ValueError: The address is empty, which would mean the working directory, or names no bucket or host.
        """
        if not value.strip():
            raise ValueError(_MISSING)
        scheme, separator, rest = value.partition("://")
        if separator and scheme not in _WITHOUT_HOST and (not rest.strip("/") or rest.startswith(("*", "/"))):
            raise ValueError(f"names no bucket or host; write it out, such as {scheme}://name/folder")
        resolve: Resolve | None = (info.context or {}).get("resolve")
        is_name = self.names and _HUB_NAME.fullmatch(value) is not None and not os.path.exists(value)
        return value if resolve is None or value in self.words or is_name else resolve(value)


Address = Annotated[str, AfterValidator(AddressRule())]
"""The address of a file or folder: a path, a glob or a URI."""
NamedAddress = Annotated[str, AfterValidator(AddressRule(names=True))]
"""The address of a file or folder, or the name of a model of Hugging Face."""
SHIPPED_LIFTERS = ("everyday",)
"""Lifters that come with Raylift, by name."""
ModelAddress = Annotated[str, AfterValidator(AddressRule(SHIPPED_LIFTERS))]
"""The address of a lifter: of a file, in MLflow's registry, or the name of one that comes with Raylift."""


def _some(value: Any) -> Any:
    """Refuse no address, before each type of the union says so."""
    if value == "" or (isinstance(value, list | tuple) and (not value or "" in value)):
        raise ValueError(_MISSING)
    return value


Addresses = Annotated[Address | tuple[Address, ...], BeforeValidator(_some)]
"""One address or several."""


def listed(addresses: str | Sequence[str] | None) -> list[str]:
    """One address or several, or none, as a list."""
    if addresses is None:
        return []
    return [addresses] if isinstance(addresses, str) else list(addresses)


class JobConfig(BaseModel):
    """A frozen config. Its field docstrings are the descriptions in `--help`; unknown fields are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )

    BARE_FIELD: ClassVar[str | None] = None
    """Field that the first word of the command line may give without its name, if any."""

    BEFORE: ClassVar[Mapping[str, Any]] = {}
    """What fields count as in outputs of versions that did not have them, by dotted path, where that is not their
    default: what the job did then. A field whose default changes gets a row with the default that it began with."""

    @classmethod
    def contradictions(cls, values: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
        """A message for each field that a command line gives although the rest of it makes the value meaningless.

        Args:
            values: All nested values, those of recipes included.
            given: The single fields of the command line, by dotted path.
        """
        return []

    @model_validator(mode="before")
    @classmethod
    def _read_typed_text(cls, values: Any) -> Any:
        """Convert typed text to the types of the fields."""
        if not isinstance(values, Mapping):
            return values
        types = {field.alias or name: field.annotation for name, field in cls.model_fields.items()}
        return {name: read(value, types.get(name, str)) for name, value in values.items()}


class PluginConfig(BaseModel):
    """The name of a plug-in and its options, which the plug-in's own `Config` validates."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    name: str = Field(min_length=1)
    """A name in the plug-in table, or package.module:Class."""

    @property
    def options(self) -> dict[str, Any]:
        """All values except the name."""
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class PluginTable:
    """Names the plug-in table in which the name of a `PluginConfig` field is looked up."""

    name: str


Config = TypeVar("Config", bound=JobConfig)


def build(
    model: type[Config], values: Mapping[str, Any], plugins: PluginConfigs, resolve: Resolve | None = None
) -> Config:
    """Validate nested values against a config class and the config classes of its plug-ins.

    Args:
        model: The job's config class.
        values: Nested values, as in a recipe.
        plugins: Returns the config class of a plug-in's options.
        resolve: Applied to the value of every `Address` field, also among the options of plug-ins.

    Raises:
        UserError: Values are wrong; one line for each mistake: path, value, rule and the nearest right name.
    """
    mistakes: list[str] = []
    context = {"resolve": resolve}
    merged = _with_plugins(model, values, plugins, context, mistakes)
    config, wrong = _validate(model, merged, context)
    if config is None or mistakes:
        raise UserError("\n".join(wrong + mistakes))
    return config


def _with_plugins(
    model: type[JobConfig],
    values: Mapping[str, Any],
    plugins: PluginConfigs,
    context: Mapping[str, Any],
    mistakes: list[str],
    prefix: str = "",
) -> dict[str, Any]:
    """The values with the options of plug-ins validated, those of plug-ins within plug-ins too."""
    merged = dict(values)
    for name, field, table in _plugin_fields(model):
        path = f"{prefix}{name}"
        value = read(merged.get(name), field.annotation)
        if name in merged:
            merged[name] = value
        chosen = dict(value) if isinstance(value, Mapping) else {"name": value} if value else {}
        default = field.default.name if isinstance(field.default, PluginConfig) else None
        plugin_name = chosen.pop("name", default)
        if plugin_name is None:
            continue  # `_validate(model, …)` below reports the missing field
        try:
            options = plugins(table.name, str(plugin_name))
        except UserError as error:
            mistakes.append(f"{path}.name: {error}")
            merged[name] = {"name": str(plugin_name)}
            continue
        chosen = _with_plugins(options, chosen, plugins, context, mistakes, f"{path}.")
        checked, wrong = _validate(options, chosen, context, f"{path}.")
        mistakes += wrong
        merged[name] = {"name": plugin_name, **(checked.model_dump() if checked else {})}
    return merged


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every leaf field of a config class with its dotted path, in the order of definition, its settings first."""
    for name, field in sorted(model.model_fields.items(), key=lambda item: bool(item[1].exclude)):
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, JobConfig):
            yield from paths(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{field.alias or name}", field


def takes_addresses(field: FieldInfo) -> bool:
    """Whether a field holds the address of a file or folder, or several."""
    metadata, types = list(field.metadata), [field.annotation]
    while types:
        one = types.pop()
        metadata += getattr(one, "__metadata__", ())
        types += get_args(one)
    return any(isinstance(getattr(mark, "func", None), AddressRule) for mark in metadata)


def plugin_paths(plugins: PluginConfigs, table: str, chosen: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yield the dotted path of every option of a plug-in, with those of the plug-ins within it.

    Args:
        plugins: Returns the config class of a plug-in's options.
        table: The plug-in table.
        chosen: Name and options of the plug-in.
        prefix: What the paths begin with.
    """
    options = plugins(table, chosen["name"])
    for path, field in paths(options, prefix):
        mark = next((mark for mark in field.metadata if isinstance(mark, PluginTable)), None)
        if mark is None:
            yield path
            continue
        default = field.default.model_dump() if isinstance(field.default, PluginConfig) else {}
        within = chosen.get(path.removeprefix(prefix)) or default
        if within:
            yield from plugin_paths(plugins, mark.name, within, f"{path}.")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested values to one level of dotted paths."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _validate(
    model: type[Config], values: Mapping[str, Any], context: Mapping[str, Any], prefix: str = ""
) -> tuple[Config | None, list[str]]:
    try:
        return model.model_validate(values, context=context), []
    except ValidationError as error:
        return None, explain(error, prefix, [path for path, _ in paths(model)])


@contextmanager
def options_of(field: str) -> Iterator[None]:
    """Report wrong options as a user's mistake while a plug-in is built, which may build others that it wraps.

    Args:
        field: The field that names the plug-in, such as "detector".

    Raises:
        UserError: The options are wrong; a line for each mistake.
    """
    try:
        yield
    except ValidationError as error:
        raise UserError("\n".join(f"{field}: {error.title}: {line}" for line in explain(error))) from error


def _plugin_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, PluginTable]]:
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, PluginTable):
                yield name, field, mark
