"""Google Cloud Storage. Asked for by `storage`, which registers it with fsspec; credentials: see `gcs_requests`."""

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
from pipelines.io.stores.policy import Seen
from schemas.errors import UserError

# Of a download that breaks off so much is asked for again.
_PIECE_BYTES = 16 * 2**20
# Deletions at a time; Google's own batches fail in ways of their own.
_AT_ONCE = 32


class GcsStore(GcsRequests):
    """gcsfs with the one policy for faults. Listings are not kept: other processes write.

    Besides `OSError` for what is not there, calls raise `StoreGone`, `StoreRefused`, and `UserError` where the
    variables make no sense. Buckets are never made, and not asked for their kind: those of one zone, which want another
    protocol than HTTP, are not for jobs.
    """

    async def _info(self, path: str, generation: str | None = None, **kwargs: Any) -> dict[str, Any]:
        # gcsfs asks for object and folder at once, and answers from either; most are asked for as what they are.
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
        except FileNotFoundError:  # alone: those of fsspec and gcsfs take any fault for a no
            return False

    async def _mkdir(self, path: str, *args: Any, **kwargs: Any) -> None:
        """Nothing: folders are but names, and a bucket that is missing is a mistake in its name."""

    mkdir: Any = sync_wrapper(_mkdir)

    async def _pipe_file(self, path: str, data: bytes, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            return await super()._pipe_file(path, data, *args, **kwargs)
        # Of any size in one request: it is there or it is not, and a killed job leaves nothing.
        bucket, key, _ = self.split_path(path)
        kind = {"Content-Type": "application/octet-stream"}
        upload = f"{self._location}/upload/storage/v1/b/{{}}/o"
        return await self._call("POST", upload, bucket, headers=kind, data=data, uploadType="media", name=key)

    async def _get_file(self, rpath: str, lpath: str, *args: Any, **kwargs: Any) -> None:
        details: dict[str, Any] = await self._get_object(rpath)
        with open(lpath, "wb") as file:
            for start in range(0, details["size"], _PIECE_BYTES):
                end = min(start + _PIECE_BYTES, details["size"])
                await asyncio.to_thread(file.write, await self._piece(details, start, end))

    async def _piece(self, details: dict[str, Any], start: int, end: int) -> Any:
        """Some of an object as it was when its details were asked for."""
        try:
            return await self._cat_file(details["name"], start, end, generation=details["generation"])
        except FileNotFoundError as error:
            # Not to be taken for one that was never there.
            told = "the object was replaced while it was read"
            raise OSError(errno.EBUSY, told, f"gs://{details['name']}") from error

    piece: Any = sync_wrapper(_piece)

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, *args: Any, **kwargs: Any) -> Any:
        block_bytes: Any = block_size or self.default_block_size
        opened = _File(self, path, mode, block_bytes, *args, **kwargs)
        if mode == "rb" and opened.details["type"] == "directory":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), f"gs://{path}")
        return opened

    async def _delete_files(self, files: list[str], batchsize: int) -> list[Any]:
        turns = asyncio.Semaphore(_AT_ONCE)

        async def delete(file: str) -> Exception | None:
            async with turns:
                try:
                    await self._rm_file(file)
                except FileNotFoundError:
                    return None  # gone all the same: another was first, or the answer was lost
                except (OSError, UserError) as error:
                    return error

        return list(await asyncio.gather(*map(delete, files)))

    def look(self, path: str) -> Seen | None:
        """What an object is now; None if there is none."""
        bucket, key, _ = self.split_path(path)
        try:
            headers, content = self.call("GET", "b/{}/o/{}", bucket, key)
        except FileNotFoundError:
            return None
        found = json.loads(content)
        # Answers are dated in whole seconds.
        written_at = datetime.fromisoformat(found["updated"]).replace(microsecond=0)
        age_s = (parsedate_to_datetime(headers["Date"]) - written_at).total_seconds()
        return Seen(found["generation"], found.get("metadata", {}), age_s)

    def write_if(self, path: str, metadata: dict[str, str], etag: str | None) -> str | None:
        """Write an object if it is still the one seen; returns its new generation, None if it is another by now.

        Args:
            path: Of the object.
            metadata: What it says; its content too.
            etag: The generation seen; None: there was none.

        Raises:
            OSError: There is no such bucket, among others.
        """
        bucket, key, _ = self.split_path(path)
        parts = json.dumps({"name": key, "metadata": metadata}), json.dumps(metadata)
        body = "".join(f"--part\r\nContent-Type: application/json\r\n\r\n{part}\r\n" for part in parts) + "--part--"
        upload = f"{self._location}/upload/storage/v1/b/{{}}/o"
        asked = {"uploadType": "multipart", "name": key, "ifGenerationMatch": etag or "0"}
        kind = {"Content-Type": "multipart/related; boundary=part"}
        try:
            _, content = self.call("POST", upload, bucket, headers=kind, data=body.encode(), **asked)
        except FileExistsError:
            return None
        return json.loads(content)["generation"]

    def abort_uploads(self, folder: str) -> None:
        """Nothing: an upload has no parts."""


class _File(AbstractBufferedFile):
    """An object as it was when it was opened; or a new one, which is sent whole when it is closed."""

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.piece(self.details, start, end)

    def _initiate_upload(self) -> None:
        """Nothing: there is no upload before the end."""

    def _upload_chunk(self, final: bool = False) -> Any:
        if final:
            self.fs.pipe_file(self.path, self.buffer.getvalue())
        return final
