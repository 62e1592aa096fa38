"""Programs of others that read what refine writes: Khronos' validator (node) and three.js in a real browser.

`make test` installs both where npm is; Chromium is the distribution's. Where one is absent its tests are skipped.
"""

import base64
import html
import json
import re
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
PACKAGES = HERE / "node_modules"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
NODE = shutil.which("node") or ""
SECONDS = 120


def validated(*paths: Path) -> dict[str, Any]:
    """What Khronos' validator says of each file."""
    if not NODE or not (PACKAGES / "gltf-validator").is_dir():
        pytest.skip("Khronos' validator is not installed (npm)")
    command = [NODE, str(HERE / "validate.js"), *map(str, paths)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    return dict(json.loads(said))


class _Files(SimpleHTTPRequestHandler):
    """Serves this folder, and one file as file.glb; silently."""

    def __init__(self, *arguments: Any, file: Path, **others: Any) -> None:
        self.file = file
        super().__init__(*arguments, **others)

    def translate_path(self, path: str) -> str:
        return str(self.file) if path.split("?")[0] == "/file.glb" else super().translate_path(path)

    def log_message(self, format: str, *arguments: Any) -> None:
        return


def drawn_vertices(file: Path, time_s: float = 0.0, picture: Path | None = None) -> dict[str, np.ndarray]:
    """Where three.js in a browser draws the vertices (V, 3) of each skinned mesh of a GLB file."""
    if not CHROMIUM or not (PACKAGES / "three").is_dir():
        pytest.skip("a browser with three.js is not installed (apt, npm)")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(HERE), file=file))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/vertices.html?time={time_s}"
        screen = [f"--screenshot={picture}"] if picture else ["--dump-dom"]
        flags = ["--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--virtual-time-budget=60000"]
        command = [CHROMIUM, *flags, "--window-size=900,700", *screen, address]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    finally:
        server.shutdown()
        server.server_close()
    if picture:
        return {}
    found = re.search(r'<pre id="said"[^>]*>(.*?)</pre>', said, re.DOTALL)
    assert found, said[-2000:]
    meshes = json.loads(html.unescape(found[1]))
    assert "error" not in meshes, meshes["error"]
    return {name: np.frombuffer(base64.b64decode(code), "<f4").reshape(-1, 3) for name, code in meshes.items()}
