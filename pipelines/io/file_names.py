"""Names of files that are made from names of others: whatever those are, they stay in their folder."""

import re
import unicodedata

# File systems hold names of 255 bytes; ids, suffixes and the prefix of temporary files want room too.
MOST_BYTES = 120
# Names of devices on Windows, with any suffix.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")


def file_name(text: str) -> str:
    """A text as part of a file name: letters, digits, `_`, `-` and `.`, of any script, neither hidden nor an option.

    Different texts may give one name; tell them apart by `same_file` and something of your own.
    """
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", text))
    name = name.encode(errors="ignore")[:MOST_BYTES].decode(errors="ignore")
    return f"_{name}" if not name or name[0] in ".-" or _DEVICES.match(name) else name


def same_file(name: str) -> str:
    """What two names have in common that are one file on a disk which ignores case."""
    return unicodedata.normalize("NFC", name.casefold())
