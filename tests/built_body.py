"""The built-in body and the full base mesh as the build makes them here: once a machine and version of the build, for
all test processes.

The files are kept in the user's cache folder, named by the hash of what they are built from.
"""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parents[1]
BUILD_S = 1500
"""Seconds after which a build that takes three minutes counts as one that never ends, on a busy machine."""


@dataclass(frozen=True)
class BuiltBody:
    """Two files of one build: the `body` that ships, and the full base mesh for `training`."""

    body: Path
    training: Path


def built() -> BuiltBody:
    """Return the files; whoever comes first builds them, the others wait."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "refine-tests" / _key()
    files = BuiltBody(folder / "body.safetensors", folder / "base_mesh.safetensors")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock", timeout=BUILD_S + 60):
        if not files.training.exists():
            build(files)
    return files


def build(files: BuiltBody, environment: dict[str, str] | None = None) -> None:
    """Build both files in a process of its own.

    Args:
        files: Where to; they appear whole, the base mesh last.
        environment: Variables beside this process's.

    Raises:
        RuntimeError: The build failed; its last words are in the message.
    """
    half = [path.with_suffix(".half") for path in (files.body, files.training)]
    done = subprocess.run(
        [sys.executable, "-m", "refine.body.build", "--out", str(half[0]), "--training", str(half[1])],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True, text=True, timeout=BUILD_S, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the build of the built-in body failed: {done.stderr[-2000:]}")
    for path, whole in zip(half, (files.body, files.training), strict=True):
        path.replace(whole)


def _key() -> str:
    """Hash of the build's sources and the version of its package."""
    digest = hashlib.sha256(importlib.metadata.version("anny").encode())
    for path in sorted((ROOT / "refine" / "body" / "build").glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
