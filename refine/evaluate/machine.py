"""The machine and the versions a figure was measured with."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def describe_machine() -> dict[str, str]:
    """Return hardware and versions, in words."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        models = [
            row.partition(":")[2].strip()
            for row in Path("/proc/cpuinfo").read_text().splitlines()
            if row.startswith("model name")
        ]
        cpu = models[0] if models else cpu
    versions = [f"python {platform.python_version()}"]
    for package in ("torch", "warp-lang", "numpy", "scipy", "opencv-python-headless"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    cores = f"{os.cpu_count()} cores, {torch.get_num_threads()} torch threads"
    return {"hardware": f"{cpu}; {cores}; GPU: {gpu}", "system": platform.platform(), "versions": ", ".join(versions)}
