"""Secrets that addresses hold: passwords and the signatures of links. They open what they open, and are never shown."""

import re

# user:password@host.
_PASSWORD = re.compile(r"(?<=://)([^\s/@:'\"]*):[^\s/@'\"]+@")
# Of a query, what S3, Google, Azure and others sign links with.
_SIGNED = re.compile(
    r"(?i)(?<=[?&])((?:x-(?:amz|goog)-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|"
    r"googleaccessid|[\w-]*(?:token|secret|password|api_?key))=)[^&\s'\"\])},]+"
)
HIDDEN = "…"


def redact(text: str) -> str:
    """The text with the secrets of all addresses in it replaced."""
    return _SIGNED.sub(rf"\g<1>{HIDDEN}", _PASSWORD.sub(rf"\g<1>:{HIDDEN}@", text))
