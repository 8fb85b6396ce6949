"""MLflow, imported at its first use: importing it takes 1.5 s of CPU, and a job with nothing to do never uses it."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import mlflow as mlflow
else:

    class _LazyModule:
        """Stands for a module and imports it once an attribute is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    mlflow = _LazyModule("mlflow")
