"""A GPU in name only: tensors that say cuda:0, compute on the CPU, refuse what CUDA refuses, and count waits.

A wait is what makes the host stop until the device has done all its work: a blocking copy, `.item()`, an index whose
size depends on values. Each stands with the line of the project that causes it. Operators are a lower bound of kernels.

What it does not show: the numerics of kernels, streams and races, memory, NCCL, CUDA graphs.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from pretended_gpu.cuda_only import CUDA_ONLY
from pretended_gpu.recorded import Recorded
from torch._C._distributed_c10d import Logger, _create_work_from_future  # pyright: ignore
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten
CUDA = torch.device("cuda:0")
# Operators whose result the host reads, or whose size depends on values.
WAITING = {
    "_local_scalar_dense": ".item()",
    **{name: name for name in ("nonzero", "masked_select", "_unique2", "unique_dim", "repeat_interleave", "equal")},
}
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._unsafe_index.Tensor}
# Operators that take a number from the CPU.
TAKES_NUMBERS = {"where", "fill_", "masked_fill", "masked_fill_", "clamp", "_fused_adam_", "_fused_adamw_", "lerp_"}
RECORDED = Recorded()
# Copies to the device need not be waited for from these; kept, so that no other tensor gets the number of one.
_pinned: dict[int, torch.Tensor] = {}


class Pretended(torch.Tensor):
    """A tensor of the CPU that says it lies on the device."""

    cpu_values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor):
        """Wrap values."""
        with torch.inference_mode(False):
            made = torch.Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
                cls,
                values.shape,
                strides=values.stride(),
                storage_offset=values.storage_offset(),
                dtype=values.dtype,
                layout=values.layout,
                device=CUDA,
            )
        made.cpu_values = values
        return made

    def __repr__(self, **_: Any) -> str:
        """The values."""
        return f"Pretended({self.cpu_values!r})"

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """As `torch.tensor` on the device."""
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device, **options})

    def numpy(self, *_: Any, **__: Any) -> Any:
        """Refused, as by CUDA."""
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def tolist(self) -> Any:
        """The values, which are waited for."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator."""
        return _run(func, args, kwargs or {})


def _values(given: Any) -> Any:
    return given.cpu_values if isinstance(given, Pretended) else given


def _pretended(result: Any) -> Any:
    return Pretended(result) if isinstance(result, torch.Tensor) and not isinstance(result, Pretended) else result


def _is_cuda(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func._schema.name.partition("::")[2]
    if func.namespace == "c10d":
        return _exchange(func, args, kwargs)
    if func is aten._to_copy.default:
        return _convert(func, args[0], kwargs)
    if func is aten.copy_.default:
        return _copy(args, kwargs)
    tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, torch.Tensor)]
    on_device = [tensor for tensor in tensors if isinstance(tensor, Pretended)]
    if not on_device and not _is_cuda(kwargs.get("device")):
        return func(*args, **kwargs)
    if len(on_device) < len(tensors) and on_device:
        _require_one_device(func, name, args, [tensor for tensor in tensors if not isinstance(tensor, Pretended)])
    if func in INDEXING and any(part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1]):
        RECORDED.wait("boolean index")
    if name in WAITING:
        RECORDED.wait(WAITING[name])
    options = {key: value for key, value in kwargs.items() if key != "pin_memory"}
    if "device" in options:
        options["device"] = torch.device("cpu")
    given, options = tree_map(_values, args), tree_map(_values, options)
    RECORDED.operators[name] += 1
    if name in ("_softmax", "_log_softmax") and given[2]:  # from half precision to float32, which only CUDA does
        given = (given[0].float(), given[1], False)
    result = CUDA_ONLY[func](*given) if func in CUDA_ONLY else func(*given, **options)
    if name == "_local_scalar_dense" or ("device" in kwargs and not _is_cuda(kwargs["device"])):
        return result
    written = [
        given
        for given, argument in zip(args, func._schema.arguments, strict=False)
        if argument.alias_info and argument.alias_info.is_write and isinstance(given, torch.Tensor)
    ]
    if written and not func.is_view and isinstance(result, torch.Tensor):
        return written[-1]
    made = tree_map(_pretended, result)
    # Views share memory, by which PyTorch tells whether gradients lie in what workers send already.
    return return_and_correct_aliasing(func, args, kwargs, made) if func.is_view else made


def _convert(func: Any, source: torch.Tensor, kwargs: dict[str, Any]) -> torch.Tensor:
    """A copy of another type, or to or from the device."""
    device, was_there = kwargs.get("device"), isinstance(source, Pretended)
    goes_there = was_there if device is None else _is_cuda(device)
    if goes_there != was_there and source.numel():
        by_itself = kwargs.get("non_blocking") and (not goes_there or id(source) in _pinned)
        if not by_itself:
            RECORDED.wait("host to device" if goes_there else "device to host")
    options = {key: value for key, value in kwargs.items() if key not in ("device", "non_blocking", "pin_memory")}
    result = func(_values(source), **options)
    if goes_there:
        RECORDED.operators["_to_copy"] += 1
        return Pretended(result)
    return result


def _copy(args: Any, kwargs: dict[str, Any]) -> torch.Tensor:
    to, source = args[0], args[1]
    if isinstance(to, Pretended) != isinstance(source, Pretended) and source.numel():
        non_blocking = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)
        if not (non_blocking and id(source) in _pinned):
            RECORDED.wait("host to device" if isinstance(to, Pretended) else "device to host")
    _values(to).copy_(_values(source))
    RECORDED.operators["copy_"] += 1
    return to


def _exchange(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What workers send each other, through the CPU; the host need not wait for it."""
    result = func(*tree_map(_values, args), **tree_map(_values, kwargs))
    if not any(isinstance(value, Pretended) for value in tree_flatten(args)[0]):
        return result
    RECORDED.exchange()
    dist.Work.unbox(result[1]).wait()
    received: torch.futures.Future[list[torch.Tensor]] = torch.futures.Future()
    received.set_result([value for value in tree_flatten(args[0])[0] if isinstance(value, Pretended)])
    return args[0], _create_work_from_future(received).boxed()


def _require_one_device(func: Any, name: str, args: Any, others: list[torch.Tensor]) -> None:
    """Refuse what CUDA refuses: tensors of the CPU among those of the device, but for numbers and indices."""
    if func in INDEXING:
        if not isinstance(args[0], Pretended) or (
            "put" in name and not isinstance(args[2], Pretended) and args[2].dim()
        ):
            raise RuntimeError(f"expected all tensors to be on the same device: {func}")
        RECORDED.wait("an index from the CPU")
        return
    takes_numbers = torch.Tag.pointwise in func.tags or name in TAKES_NUMBERS
    if not takes_numbers or any(tensor.dim() for tensor in others):
        raise RuntimeError(f"expected all tensors to be on the same device, found cuda:0 and cpu: {func}")


class _Device(TorchDispatchMode):
    """Operators of tensors that are made on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.is_inference_mode_enabled() and func._can_decompose():
            with self:
                result = func.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        return _run(func, args, kwargs or {})


class _FirstDevice(TorchFunctionMode):
    """cuda means cuda:0."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        def first(given: Any) -> Any:
            unnumbered = isinstance(given, torch.device) and given.type == "cuda" and given.index is None
            return CUDA if unnumbered or (isinstance(given, str) and given == "cuda") else given

        return func(*map(first, args), **{key: first(value) for key, value in (kwargs or {}).items()})


class _Stream:
    """A stream on which nothing waits."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def wait_stream(self, other: Any) -> None: ...
    def synchronize(self) -> None: ...
    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: Any) -> None: ...


class _Generator(torch.Generator):
    """Random numbers of the CPU, whatever the device."""

    def __new__(cls, device: Any = "cpu"):
        """Make one."""
        return super().__new__(cls)


def _pin(tensor: torch.Tensor, *_: Any) -> torch.Tensor:
    copy = tensor.clone()
    _pinned[id(copy)] = copy
    return copy


def _in_modes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the device in its thread: modes are those of a thread."""

    def call(*args: Any, **kwargs: Any) -> Any:
        torch._C._set_only_lift_cpu_tensors(True)
        with _FirstDevice(), _Device():
            return function(*args, **kwargs)

    return call


@contextmanager
def pretended_gpu() -> Iterator[Recorded]:
    """`torch.device("cuda:0")` may be used as if it were there; gives what is recorded."""
    submit, empty = ThreadPoolExecutor.submit, torch.empty

    def pinned_or_not(*args: Any, pin_memory: bool = False, **kwargs: Any) -> torch.Tensor:
        made = empty(*args, **kwargs)
        if pin_memory:
            _pinned[id(made)] = made
        return made

    answers = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "get_device_capability": lambda *_: (9, 0),
        "is_bf16_supported": lambda *_, **__: True,
        "manual_seed_all": lambda seed: None,
        "empty_cache": lambda: None,
        "synchronize": lambda *_: RECORDED.wait("synchronize"),
        "Stream": _Stream,
        "current_stream": lambda *_: _Stream(),
        "stream": lambda stream: stream,
    }
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, answer))
        stack.enter_context(patch.object(torch.Tensor, "record_stream", lambda self, stream: None))
        stack.enter_context(patch.object(torch.Tensor, "pin_memory", _pin))
        # It asks for times of the device, which only PyTorch with CUDA measures.
        stack.enter_context(patch.object(Logger, "set_runtime_stats_and_log", lambda self: None))
        stack.enter_context(patch.object(torch, "empty", pinned_or_not))
        stack.enter_context(patch.object(torch, "Generator", _Generator))
        stack.enter_context(
            patch.object(
                ThreadPoolExecutor, "submit", lambda self, work, *a, **k: submit(self, _in_modes(work), *a, **k)
            )
        )
        torch._C._ensureCUDADeviceGuardSet()
        torch._C._set_only_lift_cpu_tensors(True)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        torch._C._set_multithreading_enabled(False)  # pyright: ignore[reportAttributeAccessIssue]
        stack.enter_context(_FirstDevice())
        stack.enter_context(_Device())
        yield RECORDED
