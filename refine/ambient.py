"""torch's settings around a call, which must not change what comes out of it.

    inside:  no autocast, default dtype float32, default device CPU, no inference mode, float32 products in float32
    after:   as before

Inference scripts run a regressor under autocast or inference mode, fitting code sets float64 as the default, notebooks
a default device. Every public door of the library works under torch's own settings instead, and what it returns are
ordinary tensors.

Autocast, inference mode and the default device belong to a thread. The default dtype and the precision of products
belong to the process: while a call works that found them changed, other threads see torch's own, too; the last call to
end puts them back.

Source: torch's documentation of `torch.autocast`, `torch.inference_mode`, `torch.set_default_dtype`,
`torch.set_default_device` and `torch.set_float32_matmul_precision`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

DTYPE = torch.float32
"""What a tensor is made in where nothing else says: torch's own default."""

PRECISION = "highest"
"""Of products of float32: torch's own default; below it they are made of bfloat16 or TF32 numbers."""

AUTOCAST = ("cpu", "cuda", "mps", "xpu")
"""Kinds of devices for which automatic mixed precision may be on."""


class _OfTheProcess:
    """A setting of the whole process, held at a value while anybody works."""

    def __init__(self, get: Callable[[], Any], put: Callable[[Any], None], value: Any) -> None:
        self._get, self._put, self._value = get, put, value
        self._lock, self._working, self._was = threading.Lock(), 0, value

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it; the last one out puts back what the first one found."""
        with self._lock:
            if not self._working:
                self._was = self._get()
            self._working += 1
            if self._get() != self._value:
                self._put(self._value)
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1
                if not self._working and self._was != self._value:
                    self._put(self._was)


def _precision() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # the program sets it a newer way, which this function does not speak of
        return PRECISION


def ordinary(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor one can compute with: not of inference mode, and no narrower than float32."""
    tensor = tensor.clone() if tensor.is_inference() else tensor
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


_HELD = (
    _OfTheProcess(torch.get_default_dtype, torch.set_default_dtype, DTYPE),
    _OfTheProcess(_precision, torch.set_float32_matmul_precision, PRECISION),
)


@contextmanager
def usual_torch() -> Iterator[None]:
    """Work under torch's own settings, whatever the program around has set; a context, or a decorator of a function."""
    with ExitStack() as stack:
        for setting in _HELD:
            stack.enter_context(setting.held())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))  # which switches gradients on
            stack.enter_context(torch.no_grad())
        for kind in AUTOCAST:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield
