"""S3 and what speaks its language. Asked for by `storage`, which registers it with fsspec.

Endpoint, region and credentials are what AWS's own variables and files say (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`,
…), in Ray's workers as in the driver.
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
from pipelines.io.stores.policy import PATIENCE_S, PassingFault, Patience, Seen, StoreGone, refused
from schemas.errors import UserError

_TRANSIENT = (HTTPClientError, NoConnection, ResponseParserError, BrokenConnection, TimeoutError, ConnectionError)
# Answers that a later attempt may mend: too many requests, and the server's own faults but "not implemented".
_BUSY = {429, 500, 502, 503, 504}
_BUSY_CODES = {"SlowDown", "RequestTimeout", "OperationAborted"}


class BrokenAnswer(StoreGone):
    """An answer that began and broke off; s3fs asks again some times."""


add_retryable_error(BrokenAnswer)


class S3Store(S3FileSystem):
    """s3fs with the one policy for faults. Listings are not kept: other processes write.

    Besides `OSError` for what is not there, calls raise `StoreGone`, `StoreRefused`, and `UserError` where the
    variables make no sense.

    Args:
        patience_s: How long a call is repeated; fsspec takes it from `FSSPEC_S3_PATIENCE_S`.
    """

    def __init__(self, *args: Any, patience_s: float = PATIENCE_S, **kwargs: Any) -> None:
        # botocore's own attempts would multiply with these; s3fs makes some short ones (2 s of them).
        kwargs["config_kwargs"] = {"retries": {"total_max_attempts": 1}} | (kwargs.get("config_kwargs") or {})
        super().__init__(*args, **{"use_listings_cache": False} | kwargs)
        self._patience = Patience(patience_s)

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        ask = super()._call_s3

        async def attempt() -> Any:
            try:
                return await ask(method, *args, **kwargs)
            except PermissionError as error:
                raise refused(self._told(kwargs), _reason(error)) from error
            except (BotoCoreError, BrokenConnection, ValueError, OSError) as error:
                if _is_transient(error):
                    raise PassingFault(_reason(error)) from error
                if isinstance(error, OSError):
                    raise
                told = f"{self._told(kwargs)} cannot be asked: {_reason(error)}; see AWS_* variables"
                raise UserError(told) from error

        answer = await self._patience.call(attempt, lambda: self._told(kwargs))
        if method == "get_object":
            answer["Body"] = _Body(answer["Body"], self._told(kwargs))
        return answer

    # s3fs made its own of its own.
    call_s3: Any = sync_wrapper(_call_s3)

    async def _isfile(self, path: str) -> bool:
        try:
            return (await self._info(path))["type"] == "file"
        except FileNotFoundError:  # alone: fsspec's own takes any fault for a no
            return False

    def look(self, path: str) -> Seen | None:
        """What an object is now; None if there is none."""
        bucket, key, _ = self.split_path(path)
        try:
            found = self.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        answered_at = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        age_s = (answered_at - found["LastModified"]).total_seconds()
        return Seen(found["ETag"], found.get("Metadata", {}), age_s)

    def write_if(self, path: str, metadata: dict[str, str], etag: str | None) -> str | None:
        """Write an object if it is still the one seen; returns the new ETag, None if it is another by now.

        Args:
            path: Of the object.
            metadata: What it says; its content too, of which the ETag is made.
            etag: Of the one seen; None: there was none.

        Raises:
            OSError: There is no such bucket, among others.
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
            if status == 501:  # a store that knows no conditions: what was just seen has to do
                return self.call_s3("put_object", **put)["ETag"]
            raise

    def abort_uploads(self, folder: str) -> None:
        """Drop the parts of uploads of files directly in a folder, which killed jobs left: unseen, but paid for."""
        bucket, prefix, _ = self.split_path(folder.rstrip("/") + "/")
        try:
            listed = self.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
        except OSError:
            return  # not every store lists them to everybody; the bucket's lifecycle rule sees to them
        for upload in listed.get("Uploads", []):
            if "/" not in upload["Key"].removeprefix(prefix):
                self.abort_mpu(bucket, upload["Key"], upload["UploadId"])

    def _told(self, kwargs: dict[str, Any]) -> str:
        """What was asked of whom."""
        path = "/".join(filter(None, [kwargs.get("Bucket"), kwargs.get("Key") or kwargs.get("Prefix")]))
        at = f" at {self._s3.meta.endpoint_url}" if self._s3 is not None else ""
        return redact(f"s3://{path}: the store{at}")


class _Body:
    """The content of an answer as it arrives."""

    def __init__(self, body: Any, told: str) -> None:
        self._body, self._told = body, told

    async def read(self, *size: int) -> bytes:
        try:
            return await self._body.read(*size)
        except (BotoCoreError, BrokenConnection, OSError) as error:
            raise BrokenAnswer(f"{self._told} broke off its answers: {_reason(error)}") from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


def _is_transient(error: Exception) -> bool:
    status, code = _answer(error)
    return isinstance(error, _TRANSIENT) or status in _BUSY or code in _BUSY_CODES


def _answer(error: BaseException) -> tuple[int | None, str | None]:
    """The HTTP status and S3's word for it, where the store answered."""
    answered = error if isinstance(error, ClientError) else error.__cause__
    if not isinstance(answered, ClientError):
        return None, None
    response: Any = answered.response
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode"), response.get("Error", {}).get("Code")


def _reason(error: Exception) -> str:
    status, code = _answer(error)
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    # The address is told already.
    said = re.sub(r'( to the| from)? endpoint URL: ".*"', "", said.splitlines()[0]).rstrip(".")
    return redact(" ".join(filter(None, [str(status or ""), code if code != str(status) else "", said])))
