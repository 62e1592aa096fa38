"""Programs of others that read what refine writes: Khronos' validator (node) and three.js in a real browser.

`make test` installs both where npm is; Chromium is the distribution's. Where one is absent its tests are skipped.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
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
    """Serves this folder, and one file as file.glb; takes what the page has to say; silently."""

    def __init__(self, *arguments: Any, file: Path, said: "Queue[bytes]", **others: Any) -> None:
        self.file, self.said = file, said
        super().__init__(*arguments, **others)

    def translate_path(self, path: str) -> str:
        return str(self.file) if path.split("?")[0] == "/file.glb" else super().translate_path(path)

    def do_POST(self) -> None:
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        return


def seen_in_a_browser(file: Path, time_s: float = 0.0, picture: bool = False) -> dict[str, Any]:
    """What a page with three.js says of a GLB file: base64 of each skinned mesh's vertices (V, 3) float32, and of a
    picture if asked for."""
    if not CHROMIUM or not (PACKAGES / "three").is_dir():
        pytest.skip("a browser with three.js is not installed (apt, npm)")
    said: Queue[bytes] = Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(HERE), file=file, said=said))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/vertices.html?time={time_s}{'&picture' if picture else ''}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", f"--user-data-dir={profile}"]
        browser = subprocess.Popen(
            [CHROMIUM, *flags, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            found = json.loads(said.get(timeout=SECONDS))
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            server.shutdown()
            server.server_close()
    assert "error" not in found, found["error"]
    return dict(found)


def drawn_vertices(file: Path, time_s: float = 0.0) -> dict[str, np.ndarray]:
    """Where three.js in a browser draws the vertices (V, 3) of each skinned mesh of a GLB file."""
    found = seen_in_a_browser(file, time_s)
    return {name: np.frombuffer(base64.b64decode(code), "<f4").reshape(-1, 3) for name, code in found.items()}
