"""What may be shown: no secrets of addresses (passwords, signatures of links), and nothing that drives a terminal."""

import os
import re

# user:password@host.
_PASSWORD = re.compile(r"(?<=://)([^\s/@:'\"\\]*):[^\s/@'\"\\]+@")
# Of a query, what S3, Google, Azure and others sign links with; in HTML `&` is `&amp;`.
_SIGNED = re.compile(
    r"(?i)(?<=[?&;])((?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|"
    r"googleaccessid|[\w-]*(?:token|secret|password|api_?key))=)[^&\s'\"\])},\\]+"
)
HIDDEN = "…"
# C0, DEL, C1, and what turns the direction of text; half characters cannot be printed at all.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def redact(text: str) -> str:
    """The text with the secrets of all addresses in it replaced."""
    return _SIGNED.sub(rf"\g<1>{HIDDEN}", _PASSWORD.sub(rf"\g<1>:{HIDDEN}@", text))


def printable(text: str) -> str:
    """The text with control characters as their escapes: a file may be called what would clear a terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def shown(text: str) -> str:
    """The text as a terminal may show it.

    Configs hold absolute paths. What lies below this process' working directory is shown relative to it, so that it is
    short and can be copied into the next command.
    """
    below = re.escape(os.path.join(os.getcwd(), ""))
    return printable(redact(re.sub(rf"(?<![\w./-]){below}(?=[^\s/])", "", text)))
