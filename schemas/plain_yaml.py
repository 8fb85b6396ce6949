"""YAML of unknown origin: plain values, no larger than their text."""

from typing import Any

import yaml

# Deepest nesting that is read. Recipes need four levels, and Python's stack has room for more than this.
_DEEPEST = 50
# Most characters that are read: recipes and calibrations have a few thousand, and these take up to 3 s.
_LONGEST = 300_000


class PlainLoader(yaml.SafeLoader):
    """Reads YAML without what a kilobyte may stand for a gigabyte by, or take hours.

    These are aliases, endless nesting, repeated keys, and numbers to the base 60 (1:30:00).

    Raises:
        YAMLError: The text is too long.
    """

    _depth = 0

    def __init__(self, content: str | bytes) -> None:
        if len(content) > _LONGEST:
            raise yaml.YAMLError(f"has {len(content):,} characters, and at most {_LONGEST:,} are read")
        super().__init__(content)

    def construct_scalar(self, node: Any) -> Any:
        """The text of a scalar.

        Raises:
            YAMLError: The scalar is a number to the base 60.
        """
        if node.tag.endswith((":int", ":float")) and ":" in node.value:
            raise yaml.YAMLError(f"{node.value[:40]}: is read as a number to the base 60; write it in quotes")
        return super().construct_scalar(node)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The node that begins here.

        Raises:
            YAMLError: The node is an alias, or nested too deeply.
        """
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read; write the value out")
        if self._depth >= _DEEPEST:
            raise yaml.YAMLError(f"nested more than {_DEEPEST} levels deep")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """The mapping that begins here.

        Raises:
            YAMLError: The mapping has a key twice; only the last value would count.
        """
        node = super().compose_mapping_node(anchor)
        keys = set[tuple[str, str]]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in keys:
                raise yaml.YAMLError(
                    f"{key.value}: is given twice, again in line {key.start_mark.line + 1}; give it once"
                )
            keys.add((key.tag, key.value))
        return node


def load_plain(content: str | bytes) -> Any:
    """The value of a YAML document.

    Raises:
        YAMLError: The document is not YAML, or not plain.
    """
    loader = PlainLoader(content)
    try:
        return loader.get_single_data()
    except ValueError as error:  # a number of thousands of digits, a day of no month
        raise yaml.YAMLError(" ".join(str(error).split())) from error
    finally:
        loader.dispose()
