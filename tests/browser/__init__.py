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
    """Serves this folder, and some files from memory; takes what the page has to say; silently."""

    def __init__(self, *arguments: Any, files: dict[str, bytes], said: "Queue[bytes]", **others: Any) -> None:
        self.files, self.said = files, said
        super().__init__(*arguments, **others)

    def do_GET(self) -> None:
        content = self.files.get(self.path.split("?")[0])
        if content is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(self.path))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.said.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        return


def said_in_a_browser(
    page: str, packages: tuple[str, ...], files: dict[str, bytes], *, dark: bool = False
) -> dict[str, Any]:
    """What a page of this folder says, which is opened in Chromium; some addresses give the files named."""
    if not CHROMIUM or not all((PACKAGES / package).is_dir() for package in packages):
        pytest.skip("a browser with three.js is not installed (apt, npm)")
    said: Queue[bytes] = Queue()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(HERE), files=files, said=said))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", f"--user-data-dir={profile}"]
        flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
        browser = subprocess.Popen(
            [CHROMIUM, *flags, f"http://127.0.0.1:{server.server_port}/{page}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
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
    found = said_in_a_browser(f"vertices.html?time={time_s}", ("three",), {"/file.glb": file.read_bytes()})
    return {name: np.frombuffer(base64.b64decode(code), "<f4").reshape(-1, 3) for name, code in found.items()}


def looked_at(page: str, width: int, *, dark: bool = False) -> dict[str, Any]:
    """What a browser and axe-core find in a page of so many px, of which every control is used once."""
    watch = "<script>errors = []; onerror = (message) => errors.push(message); "
    watch += "for (const kind of ['error', 'warn']) console[kind] = (...words) => errors.push(words.join(' '))</script>"
    watched = page.replace("<head>", f"<head>{watch}", 1)
    return said_in_a_browser(f"page.html?width={width}", ("axe-core",), {"/file.html": watched.encode()}, dark=dark)
