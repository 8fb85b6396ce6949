"""Makes safe file names from arbitrary names: none leads out of its folder."""

import re
import unicodedata

# File systems allow names of 255 bytes; the rest is for ids, suffixes and the prefix of temporary files.
MOST_BYTES = 120
# Names of devices on Windows, which are reserved with any suffix.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def file_name(text: str) -> str:
    """A text as part of a file name: letters, digits, `_`, `-` and `.`, of any script, neither hidden nor an option.

    Different texts may give one name; tell them apart by `same_file` and something of your own.
    """
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text))
    name = name.encode(errors="ignore")[:MOST_BYTES].decode(errors="ignore")
    return f"_{name}" if not name or name[0] in ".-" or _DEVICES.match(name) else name


def same_file(name: str) -> str:
    """A key that is equal for two names that are one file on a disk which ignores case."""
    return unicodedata.normalize("NFC", name.casefold())
