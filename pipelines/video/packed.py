"""NumPy arrays in JSON: base64 text of their bytes; the reader knows the number type."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import core_schema


@dataclass(frozen=True)
class Packed:
    """Marks the type of an array in a dataclass that Pydantic writes as JSON, or reads.

    Attributes:
        dtype: NumPy's name of the number type, such as "<i8".
    """

    dtype: str

    def __get_pydantic_core_schema__(self, *unused: Any) -> core_schema.CoreSchema:
        """How Pydantic reads and writes the array."""
        return core_schema.no_info_after_validator_function(
            self._unpack,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(self._pack),
        )

    def _unpack(self, text: str) -> np.ndarray:
        return np.frombuffer(base64.b64decode(text, validate=True), self.dtype)

    def _pack(self, array: np.ndarray) -> str:
        return base64.b64encode(array.astype(self.dtype).tobytes()).decode()


TICKS, SECONDS = Packed("<i8"), Packed("<f8")
