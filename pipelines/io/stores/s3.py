"""S3 and compatible stores for `storage`, which registers this with fsspec.

Endpoint, region and credentials come from AWS's usual variables and files (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …),
in the driver and in Ray's workers.
"""

import json
import re
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import ClientError as BrokenConnection
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from s3fs.core import add_retryable_error

from pipelines.io.secrets import redact
from pipelines.io.stores.policy import PATIENCE_S, ObjectState, PassingFault, Patience, StoreGone, refused
from schemas.errors import UserError

_TRANSIENT = (HTTPClientError, NoConnection, ResponseParserError, BrokenConnection, TimeoutError, ConnectionError)
# HTTP statuses after which another attempt may succeed: too many requests, and errors of the server.
_BUSY = {429, 500, 502, 503, 504}
_BUSY_CODES = {"SlowDown", "RequestTimeout", "OperationAborted"}


class BrokenAnswer(StoreGone):
    """The connection broke off during an answer; s3fs repeats the request a few times."""


add_retryable_error(BrokenAnswer)


class S3Store(S3FileSystem):
    """The file system of s3fs, with the retry policy of `Patience` and without cached listings.

    Calls raise `OSError` for missing objects, `StoreGone` and `StoreRefused`, and `UserError` if environment variables
    are wrong.

    Args:
        patience_s: How long a failing request is repeated; fsspec reads it from `FSSPEC_S3_PATIENCE_S`.
    """

    def __init__(self, *args: Any, patience_s: float = PATIENCE_S, **kwargs: Any) -> None:
        # botocore must not repeat requests too, because that would multiply the attempts; s3fs already does so for 2 s.
        kwargs["config_kwargs"] = {"retries": {"total_max_attempts": 1}} | (kwargs.get("config_kwargs") or {})
        super().__init__(*args, **{"use_listings_cache": False} | kwargs)
        self._patience = Patience(patience_s)

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        ask = super()._call_s3

        async def attempt() -> Any:
            try:
                return await ask(method, *args, **kwargs)
            except PermissionError as error:
                raise refused(self._describe(kwargs), _reason(error)) from error
            except (BotoCoreError, BrokenConnection, ValueError, OSError) as error:
                if _is_transient(error):
                    raise PassingFault(_reason(error)) from error
                if isinstance(error, OSError):
                    raise
                message = f"{self._describe(kwargs)} cannot be used: {_reason(error)}; see AWS_* variables"
                raise UserError(message) from error

        answer = await self._patience.call(attempt, lambda: self._describe(kwargs))
        if method == "get_object":
            answer["Body"] = _Body(answer["Body"], self._describe(kwargs))
        return answer

    # The inherited `call_s3` would call the method of s3fs, not the one above.
    call_s3: Any = sync_wrapper(_call_s3)

    async def _isfile(self, path: str) -> bool:
        try:
            return (await self._info(path))["type"] == "file"
        except FileNotFoundError:  # other errors pass, whereas fsspec returns False for any error
            return False

    def state_of(self, path: str) -> ObjectState | None:
        """Request an object's state; None if there is no such object."""
        bucket, key, _ = self.split_path(path)
        try:
            response = self.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        answered_at = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        age_s = (answered_at - response["LastModified"]).total_seconds()
        return ObjectState(response["ETag"], response.get("Metadata", {}), age_s)

    def write_if(self, path: str, metadata: dict[str, str], etag: str | None) -> str | None:
        """Write an object if its ETag has not changed; returns the new ETag, None if it has changed.

        Args:
            path: Path of the object.
            metadata: Its metadata. This is also its content, because S3 computes the ETag from the content.
            etag: The expected ETag; None: the object must not exist.

        Raises:
            OSError: The object cannot be written, for example because there is no such bucket.
        """
        bucket, key, _ = self.split_path(path)
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        put = {"Bucket": bucket, "Key": key, "Metadata": metadata, "Body": json.dumps(metadata).encode()}
        try:
            return self.call_s3("put_object", **put, **condition)["ETag"]
        except OSError as error:
            status, code = _answer(error)
            if status in (409, 412) or code == "NoSuchKey":
                return None
            if status == 501:  # the store has no conditional writes, so it is written without a condition
                return self.call_s3("put_object", **put)["ETag"]
            raise

    def abort_uploads(self, folder: str) -> None:
        """Remove the parts that interrupted uploads left directly in a folder: they are not listed but cost money."""
        bucket, prefix, _ = self.split_path(folder.rstrip("/") + "/")
        try:
            listed = self.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
        except OSError:
            return  # listing them may not be permitted; a lifecycle rule of the bucket can remove them
        for upload in listed.get("Uploads", []):
            if "/" not in upload["Key"].removeprefix(prefix):
                self.abort_mpu(bucket, upload["Key"], upload["UploadId"])

    def _describe(self, kwargs: dict[str, Any]) -> str:
        """The address of a request and the store that it was sent to, without secrets."""
        path = "/".join(filter(None, [kwargs.get("Bucket"), kwargs.get("Key") or kwargs.get("Prefix")]))
        at = f" at {self._s3.meta.endpoint_url}" if self._s3 is not None else ""
        return redact(f"s3://{path}: the store{at}")


class _Body:
    """The content of an answer, whose read errors become `BrokenAnswer`."""

    def __init__(self, body: Any, request: str) -> None:
        self._body, self._request = body, request

    async def read(self, *size: int) -> bytes:
        try:
            return await self._body.read(*size)
        except (BotoCoreError, BrokenConnection, OSError) as error:
            raise BrokenAnswer(f"{self._request} broke off its answers: {_reason(error)}") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


def _is_transient(error: Exception) -> bool:
    status, code = _answer(error)
    return isinstance(error, _TRANSIENT) or status in _BUSY or code in _BUSY_CODES


def _answer(error: BaseException) -> tuple[int | None, str | None]:
    """The HTTP status and the S3 error code of an error; None if the store did not answer."""
    answered = error if isinstance(error, ClientError) else error.__cause__
    if not isinstance(answered, ClientError):
        return None, None
    response: Any = answered.response
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode"), response.get("Error", {}).get("Code")


def _reason(error: Exception) -> str:
    status, code = _answer(error)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    # Messages name the address anyway, so the endpoint is removed here.
    reason = re.sub(r'( to the| from)? endpoint URL: ".*"', "", reason.splitlines()[0]).rstrip(".")
    return redact(" ".join(filter(None, [str(status or ""), code if code != str(status) else "", reason])))
