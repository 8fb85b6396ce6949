"""S3 and what speaks its language: patient with a busy store, plain about one that is gone or refuses.

`storage` registers it with fsspec. Endpoint, region and credentials are what AWS's own variables and files say
(`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …), in Ray's workers as in the driver.
"""

import asyncio
import json
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

from aiohttp import ClientError as BrokenConnection
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem
from s3fs.core import add_retryable_error

from schemas.errors import RunFailed, UserError
from schemas.secrets import redact

# Longer than a store needs to grow with a sudden load; a job of hours should not end for less.
PATIENCE_S = 60.0
# Between two attempts at most, once the short ones of s3fs (2 s of them) have failed.
_LONGEST_PAUSE_S = 10.0
# How long one that has failed for good is not asked again.
_GONE_S = 10.0
_TRANSIENT = (HTTPClientError, NoConnection, ResponseParserError, BrokenConnection, TimeoutError, ConnectionError)
# Answers that a later attempt may mend: too many requests, and the server's own faults but "not implemented".
_BUSY = {429, 500, 502, 503, 504}
_BUSY_CODES = {"SlowDown", "RequestTimeout", "OperationAborted"}


class StoreRefused(UserError, PermissionError):
    """The store does not let us: of one video it is that video's failure, of an output the user's."""


class StoreGone(RunFailed, OSError):
    """The store has not worked for too long: nothing else is to be had from it either."""


class BrokenAnswer(StoreGone):
    """An answer that began and broke off; s3fs asks again some times."""


add_retryable_error(BrokenAnswer)


@dataclass(frozen=True)
class Seen:
    """An object as it was a moment ago.

    Attributes:
        etag: Of its content.
        metadata: What its writer said of it.
        age_s: Since it was written, by the store's own clock.
    """

    etag: str
    metadata: dict[str, str]
    age_s: float


class ObjectStore(S3FileSystem):
    """s3fs with one policy for faults: a call is repeated for `patience_s`, then it has failed for good.

    Then all calls fail at once for a while: who treats a hundred videos one by one should not wait for each. Listings
    are not kept: other processes write. Besides `OSError` for what is not there, calls raise `StoreGone`,
    `StoreRefused`, and `UserError` where the variables make no sense.

    Args:
        patience_s: How long a call is repeated; fsspec takes it from `FSSPEC_S3_PATIENCE_S`.
    """

    def __init__(self, *args: Any, patience_s: float = PATIENCE_S, **kwargs: Any) -> None:
        # botocore's own attempts would multiply with these.
        kwargs["config_kwargs"] = {"retries": {"total_max_attempts": 1}} | (kwargs.get("config_kwargs") or {})
        super().__init__(*args, **{"use_listings_cache": False} | kwargs)
        self._patience_s = float(patience_s)
        self._gone: tuple[float, str] | None = None

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:
        began, pause_s = time.monotonic(), 0.5
        if self._gone and began < self._gone[0]:
            raise StoreGone(self._gone[1])
        while True:
            try:
                answer = await super()._call_s3(method, *args, **kwargs)
            except PermissionError as error:
                raise StoreRefused(f"{self._told(kwargs)} refuses: {_reason(error)}; see the credentials") from error
            except (BotoCoreError, BrokenConnection, ValueError, OSError) as error:
                if not _is_transient(error):
                    self._give_up(error, kwargs)
                # Gone a while ago and still gone: no use in being patient again.
                if self._gone or time.monotonic() - began > self._patience_s:
                    told = f"{self._told(kwargs)} has failed for {self._patience_s:g} s: {_reason(error)}"
                    told += "; what is finished is kept, run the same command when it works again"
                    self._gone = time.monotonic() + _GONE_S, told
                    raise StoreGone(told) from error
            else:
                self._gone = None
                if method == "get_object":
                    answer["Body"] = _Body(answer["Body"], self._told(kwargs))
                return answer
            # Not all processes at once.
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

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

    def _give_up(self, error: Exception, kwargs: dict[str, Any]) -> NoReturn:
        if isinstance(error, OSError):
            raise error
        raise UserError(f"{self._told(kwargs)} cannot be asked: {_reason(error)}; see AWS_* variables") from error

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
