"""Removes secrets of addresses (passwords, signatures of links) and control characters from texts that are shown."""

import os
import re
from urllib.parse import quote, unquote

# What may precede a scheme without a space, and the scheme. The pattern begins only where a word begins and never
# backtracks; otherwise it would take seconds for a page with megabytes of base64 pictures.
_SCHEME = r"(?<![\w+.-])((?>(?:(?![a-zA-Z])[\w+.-])*))([a-zA-Z](?>[\w+.-]*)"
# An address, as far as it may extend in prose, JSON or HTML; and one that is percent-encoded within another.
_ADDRESS = re.compile(_SCHEME + r"://[^\s'\"<>\\]+)")
_ENCODED = re.compile(_SCHEME + r"(?i:%3a%2f%2f)[^\s'\"<>\\&]+)")
_PORT = re.compile(r"[^:]*(:\d*)?|\[[^]]*\](:\d*)?")
# A part of a query; in HTML, `&` is written as `&amp;`.
_QUERY = re.compile(r"(?<=[?&;])(?!amp;)(?:([\w.~%-]+)=)?([^&;=\s'\")\]},#\\]+)")
# These parameters of web addresses are shown, because they only select content. Any other may be a signature or token.
_SHOWN = frozenset(
    [
        *("clip", "end", "format", "frame", "generation", "height", "id", "index", "lang", "name", "page", "part"),
        *("quality", "size", "sort", "start", "sv", "t", "time", "v", "version", "versionid", "video", "width"),
    ]
)
# In other addresses `?` may be part of a name, and after a quote nothing is known to belong to the address. So only the
# parameters that links are signed with are hidden there.
_SIGNED = re.compile(
    r"(?i)(?<=[?&;])((?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|"
    r"googleaccessid|[\w-]*(?:token|secret|password|api_?key))=)[^&\s'\"\])},\\]+"
)
HIDDEN = "…"
# C0, DEL, C1, and characters that change the direction of text; lone surrogates cannot be printed at all.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def redact(text: str) -> str:
    """The text with the secrets of all addresses in it replaced."""
    if "://" in text:
        text = _SIGNED.sub(rf"\g<1>{HIDDEN}", _ADDRESS.sub(lambda match: match[1] + _redacted(match[2]), text))
    return _ENCODED.sub(lambda match: match[1] + _redacted_encoded(match[2]), text) if "%" in text else text


def _redacted(address: str) -> str:
    scheme, _, rest = address.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A colon before a path introduces a port; otherwise it introduces a password that contains a slash.
    end = len(authority) if _PORT.fullmatch(authority.rpartition("@")[2]) else len(rest)
    user = rest[:end].rpartition("@")[0]
    if user:
        rest = f"{HIDDEN}{rest[len(user) :]}"
    if scheme.lower() in ("http", "https"):
        rest = _QUERY.sub(_redacted_value, rest)
        rest = re.sub(r"#[^\s'\")\]},\\]+", f"#{HIDDEN}", rest)
    return f"{scheme}://{rest}"


def _redacted_value(match: re.Match[str]) -> str:
    name, value = match[1], match[2]
    if name is None:
        return HIDDEN
    return f"{name}={value if name.lower() in _SHOWN else HIDDEN}"


def _redacted_encoded(text: str) -> str:
    address = unquote(text)
    shown = redact(address)
    return text if shown == address else quote(shown, safe="")


def printable(text: str) -> str:
    """The text with control characters as their escapes: a file name may contain a sequence that clears a terminal."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def shown(text: str) -> str:
    """The text as a terminal may show it.

    Configs hold absolute paths. What lies below this process' working directory is shown relative to it, so that it is
    short and can be copied into the next command.
    """
    try:
        below = re.escape(os.path.join(os.getcwd(), ""))
    except OSError:  # the directory was removed, so nothing lies below it
        return printable(redact(text))
    return printable(redact(re.sub(rf"(?<![\w./-]){below}(?=[^\s/])", "", text)))
