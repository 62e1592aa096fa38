"""Makes calls independent of torch's global settings.

    inside:  no autocast, default dtype float32, default device CPU, no inference mode, float32 products in float32
    after:   as before

Inference scripts run a regressor under autocast or inference mode, fitting code sets float64 as the default, notebooks
a default device. Every public function of the library runs under torch's own settings instead, and returns ordinary
tensors.

Autocast, inference mode and the default device are per thread. The default dtype and the precision of products are per
process: while such a call runs, other threads have torch's own too; the last call to end restores them.

Source: torch's documentation of `torch.autocast`, `torch.inference_mode`, `torch.set_default_dtype`,
`torch.set_default_device` and `torch.set_float32_matmul_precision`.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

DTYPE = torch.float32
"""torch's own default type."""

PRECISION = "highest"
"""torch's own precision of float32 products; lower ones use bfloat16 or TF32."""

AUTOCAST = ("cpu", "cuda", "mps", "xpu")
"""Kinds of devices for which automatic mixed precision may be on."""


class _OfTheProcess:
    """A setting of the whole process, held at a value while calls run."""

    def __init__(self, get: Callable[[], Any], put: Callable[[Any], None], value: Any) -> None:
        self._get, self._put, self._value = get, put, value
        self._lock, self._working, self._was = threading.Lock(), 0, value

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the setting; the last call to end restores the value the first one found."""
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
    except RuntimeError:  # the program set it by torch's newer interface, which this function does not read
        return PRECISION


def ordinary(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor of any shape that is not of inference mode and of at least single precision."""
    tensor = tensor.clone() if tensor.is_inference() else tensor
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


_HELD = (
    _OfTheProcess(torch.get_default_dtype, torch.set_default_dtype, DTYPE),
    _OfTheProcess(_precision, torch.set_float32_matmul_precision, PRECISION),
)


@contextmanager
def usual_torch() -> Iterator[None]:
    """Run under torch's own settings, whatever the program has set; a context manager, or a decorator."""
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
