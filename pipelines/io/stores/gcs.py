"""Google Cloud Storage for `storage`, which registers it with fsspec; see `gcs_requests` for credentials."""

import asyncio
import errno
import json
import os
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from fsspec.asyn import sync_wrapper
from fsspec.spec import AbstractBufferedFile

from pipelines.io.stores.gcs_requests import GcsRequests
from pipelines.io.stores.policy import ObjectState
from schemas.errors import UserError

# Downloads are made in pieces of this size, so that only one piece is requested again if the connection breaks off.
_PIECE_BYTES = 16 * 2**20
# Number of concurrent deletions. Google's batch requests are not used, because a part of a batch may fail.
_CONCURRENT_DELETIONS = 32


class GcsStore(GcsRequests):
    """The file system of gcsfs, with the retry policy of `Patience` and without cached listings.

    Calls raise `OSError` for missing objects, `StoreGone` and `StoreRefused`, and `UserError` if environment variables
    are wrong. Buckets are never created. Zonal buckets are not supported, because they need another protocol than HTTP.
    """

    async def _info(self, path: str, generation: str | None = None, **kwargs: Any) -> dict[str, Any]:
        # gcsfs requests the object and the folder at the same time. Here the folder is requested only if there is no
        # such object, because most paths are those of objects.
        path = str(self._strip_protocol(path)).rstrip("/")
        bucket, key, _ = self.split_path(path)
        try:
            return await self._get_object(path)
        except FileNotFoundError:
            objects, folders = await self._do_list_objects(path, max_results=1)
        if key and not objects and not folders:
            raise FileNotFoundError(errno.ENOENT, "no such object or folder", f"gs://{path}")
        return {"bucket": bucket, "name": path, "size": 0, "type": "directory"}

    async def _isfile(self, path: str) -> bool:
        return await self._is(path, "file")

    async def _isdir(self, path: str) -> bool:
        return await self._is(path, "directory")

    async def _is(self, path: str, kind: str) -> bool:
        try:
            return (await self._info(path))["type"] == kind
        except FileNotFoundError:  # no other error, whereas fsspec and gcsfs return False for any error
            return False

    async def _mkdir(self, path: str, *args: Any, **kwargs: Any) -> None:
        """Do nothing: folders are only parts of names, and a missing bucket is a mistake in the address."""

    mkdir: Any = sync_wrapper(_mkdir)

    async def _pipe_file(self, path: str, data: bytes, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return await super()._pipe_file(path, data, *args, **kwargs)
        # One request is used for any size, so that the object is complete or missing, and a killed job leaves no parts.
        bucket, key, _ = self.split_path(path)
        headers = {"Content-Type": "application/octet-stream"}
        upload = f"{self._location}/upload/storage/v1/b/{{}}/o"
        return await self._call("POST", upload, bucket, headers=headers, data=data, uploadType="media", name=key)

    async def _get_file(self, rpath: str, lpath: str, *args: Any, **kwargs: Any) -> None:
        details: dict[str, Any] = await self._get_object(rpath)
        with open(lpath, "wb") as file:
            for start in range(0, details["size"], _PIECE_BYTES):
                end = min(start + _PIECE_BYTES, details["size"])
                await asyncio.to_thread(file.write, await self._piece(details, start, end))

    async def _piece(self, details: dict[str, Any], start: int, end: int) -> Any:
        """Read a range of bytes of the object's generation that `details` describes."""
        try:
            return await self._cat_file(details["name"], start, end, generation=details["generation"])
        except FileNotFoundError as error:
            # The object exists but has a new generation, so `FileNotFoundError` would be misleading.
            message = "the object was replaced while it was read"
            raise OSError(errno.EBUSY, message, f"gs://{details['name']}") from error

    piece: Any = sync_wrapper(_piece)

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, *args: Any, **kwargs: Any) -> Any:
        block_bytes: Any = block_size or self.default_block_size
        opened = _File(self, path, mode, block_bytes, *args, **kwargs)
        if mode == "rb" and opened.details["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), f"gs://{path}")
        return opened

    async def _delete_files(self, files: list[str], batchsize: int) -> list[Any]:
        semaphore = asyncio.Semaphore(_CONCURRENT_DELETIONS)

        async def delete(file: str) -> Exception | None:
            async with semaphore:
                try:
                    await self._rm_file(file)
                except FileNotFoundError:
                    return None  # another process deleted it, or an earlier request did and its answer was lost
                except (OSError, UserError) as error:
                    return error

        return list(await asyncio.gather(*map(delete, files)))

    def state_of(self, path: str) -> ObjectState | None:
        """Request an object's state; None if there is no such object."""
        bucket, key, _ = self.split_path(path)
        try:
            headers, content = self.call("GET", "b/{}/o/{}", bucket, key)
        except FileNotFoundError:
            return None
        properties = json.loads(content)
        # The header Date has whole seconds, so the time of writing is cut to whole seconds too.
        written_at = datetime.fromisoformat(properties["updated"]).replace(microsecond=0)
        age_s = (parsedate_to_datetime(headers["Date"]) - written_at).total_seconds()
        return ObjectState(properties["generation"], properties.get("metadata", {}), age_s)

    def write_if(self, path: str, metadata: dict[str, str], etag: str | None) -> str | None:
        """Write an object if its generation has not changed; returns the new generation, None if it has changed.

        Args:
            path: Path of the object.
            metadata: Its metadata, which is also its content.
            etag: The expected generation; None: the object must not exist.

        Raises:
            OSError: The object cannot be written, for example because there is no such bucket.
        """
        bucket, key, _ = self.split_path(path)
        parts = json.dumps({"name": key, "metadata": metadata}), json.dumps(metadata)
        body = "".join(f"--part\r\nContent-Type: application/json\r\n\r\n{part}\r\n" for part in parts) + "--part--"
        upload = f"{self._location}/upload/storage/v1/b/{{}}/o"
        parameters = {"uploadType": "multipart", "name": key, "ifGenerationMatch": etag or "0"}
        media_type = {"Content-Type": "multipart/related; boundary=part"}
        try:
            _, content = self.call("POST", upload, bucket, headers=media_type, data=body.encode(), **parameters)
        except FileExistsError:
            return None
        return json.loads(content)["generation"]

    def abort_uploads(self, folder: str) -> None:
        """Do nothing: uploads have no parts here."""


class _File(AbstractBufferedFile):
    """Reads one generation of an object; or writes an object, which is uploaded when the file is closed."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.piece(self.details, start, end)

    def _initiate_upload(self) -> None:
        """Do nothing: the upload begins when the file is closed."""

    def _upload_chunk(self, final: bool = False) -> Any:
        if final:
            self.fs.pipe_file(self.path, self.buffer.getvalue())
        return final
