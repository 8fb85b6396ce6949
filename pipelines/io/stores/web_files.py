"""The files of web servers, as fsspec opens them, with a message where it would raise its client's errors."""

from typing import Any

from aiohttp import ClientError
from fsspec.implementations.http import HTTPFileSystem

from schemas.errors import UserError


class WebFiles(HTTPFileSystem):
    """Whether an address is a folder is the first question of most readers; here it is whether the server answers."""

    async def _isdir(self, path: Any) -> bool:
        try:
            return await super()._isdir(path)
        except (ClientError, OSError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
            raise UserError(f"{path}: cannot be read: {reason or type(error).__name__}; check the address") from error
