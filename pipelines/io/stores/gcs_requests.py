"""Requests to Google Cloud Storage: with whose rights, how long they are repeated, what their answers mean.

Credentials are Google's application default ones (`GOOGLE_APPLICATION_CREDENTIALS`, `gcloud auth application-default
login`, the service account of a machine or pod), in Ray's workers as in the driver; where there are none, only what is
public is to be had. `STORAGE_EMULATOR_HOST` names another server, which is asked without any.
"""

import asyncio
import errno
import json
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from aiohttp import ClientConnectorError as NoConnection
from aiohttp import ClientError as BrokenConnection
from aiohttp import ClientTimeout, InvalidURL
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError, NonRetryableError
from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError

from pipelines.io.secrets import redact
from pipelines.io.stores.policy import PATIENCE_S, PassingFault, Patience, refused
from schemas.errors import UserError

# A connection that is silent for so long is given up, as is an upload that is slower: gcsfs would wait for ever.
_CONNECT_S, _SILENCE_S, _SLOWEST_BYTES_S = 10.0, 30.0, 2**20
# Answers that a later attempt may mend: too late, too many requests, and the server's own faults but "not implemented".
_BUSY = {408, 429, 500, 502, 503, 504}
_BUSY_REASONS = {"rateLimitExceeded", "userRateLimitExceeded"}


class GcsRequests(GCSFileSystem):
    """gcsfs whose requests keep to the one policy for faults.

    Args:
        patience_s: How long a call is repeated; fsspec takes it from `FSSPEC_GS_PATIENCE_S`.
    """

    def __init__(self, *args: Any, patience_s: float = PATIENCE_S, **kwargs: Any) -> None:
        try:
            super().__init__(*args, **{"use_listings_cache": False, "token": _token()} | kwargs)
        except (GoogleAuthError, ValueError, OSError) as error:
            told = f"gs://: the credentials cannot be used: {_reason(error)}; see GOOGLE_APPLICATION_CREDENTIALS"
            raise UserError(told) from error
        self._patience = Patience(patience_s)

    @classmethod
    def _get_kwargs_from_urls(cls, path: str) -> dict[str, Any]:
        return {}  # to gcsfs `take#2` is the second version of `take`

    call: Any = GCSFileSystem.call

    async def _request(
        self,
        method: str,
        path: str,
        *args: str,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        cache_type: str | None = None,
        cache_source: str | None = None,
        **kwargs: Any,
    ) -> Any:
        url, params = self._format_path(path, args), self._get_params(kwargs)
        uri = _uri(url, params)
        told = redact(f"{uri}: the store at {self._location}")
        attempt = partial(self._attempt, uri, told, method, url, headers, params=params, json=json, data=data)
        return await self._patience.call(attempt, lambda: told)

    async def _attempt(
        self, uri: str, told: str, method: str, url: str, headers: Mapping[str, str] | None, **sent: Any
    ) -> Any:
        """One request, its answer judged."""
        try:
            session = await self._set_session()
            # In a thread: it waits for another server where a token has to be renewed.
            headers = await asyncio.to_thread(self._get_headers, headers)
            async with session.request(method, url, headers=headers, timeout=_limits(sent["data"]), **sent) as answer:
                content = await answer.read()
        except InvalidURL as error:
            raise UserError(f"{told} cannot be asked: {_reason(error)}; see STORAGE_EMULATOR_HOST") from error
        except (BrokenConnection, TimeoutError, ConnectionError, TransportError) as error:
            raise PassingFault(_reason(error)) from error
        except (GoogleAuthError, HttpError, NonRetryableError) as error:  # no token is to be had
            cause = error.__cause__ if isinstance(error.__cause__, RefreshError) else error
            if isinstance(cause, GoogleAuthError) and cause.retryable:
                raise PassingFault(_reason(cause)) from error
            raise refused(told, _reason(cause)) from error
        if answer.status >= 400:
            _raise(answer.status, content, uri, told)
        return answer.status, answer.headers, answer.request_info, content


def _limits(data: bytes | None) -> ClientTimeout:
    total_s = _SILENCE_S + len(data) / _SLOWEST_BYTES_S if data else None
    return ClientTimeout(total=total_s, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)


def _token() -> str | None:
    """Which of gcsfs's ways to credentials; None: it tries them all."""
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        return "anon"
    # A file that is named must do: another way would end as somebody else.
    return "google_default" if os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") else None


def _raise(status: int, content: bytes, uri: str, told: str) -> None:
    try:
        answered = json.loads(content)["error"]
        message, reasons = answered["message"], {each.get("reason") for each in answered.get("errors", [])}
    except (ValueError, LookupError, TypeError, AttributeError):  # proxies and faults speak otherwise
        message, reasons = content.decode(errors="replace").strip().partition("\n")[0][:200], set()
    said = redact(f"{status} {message}".strip())
    if status in _BUSY or reasons & _BUSY_REASONS:
        raise PassingFault(said)
    if status in (401, 403):
        raise refused(told, said)
    raise OSError({404: errno.ENOENT, 412: errno.EEXIST}.get(status, errno.EIO), said, redact(uri))


def _uri(url: str, params: Mapping[str, Any]) -> str:
    """What a request is about."""
    asked = re.search(r"/b/([^/?]+)(?:/o/([^/?]+))?", url)
    bucket, key = asked.groups() if asked else ("", None)
    return unquote("gs://" + "/".join(filter(None, [bucket, key or params.get("name") or params.get("prefix")])))


def _reason(error: BaseException) -> str:
    said = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and not isinstance(error, NoConnection):  # that one says to whom
        said = error.strerror
    return redact(said.splitlines()[0].rstrip("."))
