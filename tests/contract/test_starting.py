"""Ctrl-C while the command line loads its packages: one sentence and 130; a program that imports the library keeps its
own Ctrl-C."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ENTRY = "from refine.commands.cli import main\nmain()\n"


def interruptible() -> None:
    """What a terminal's processes have: a test that runs in the background would pass on that the signal is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("how", ["module", "script"])
@pytest.mark.parametrize("loaded", ["refine.starting", "torch.nn", "refine.geometry.camera"])
def test_ctrl_c_while_packages_load_is_one_sentence(how: str, loaded: str, tmp_path: Path) -> None:
    script = tmp_path / "refine"  # what an installed command is
    script.write_text(ENTRY)
    command = ["-m", "refine"] if how == "module" else [str(script)]
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", *command, "--version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    )
    assert process.stderr is not None
    for line in process.stderr:  # a line for each module, when it is loaded
        if line.split("|")[-1].strip() == loaded:
            break
    process.send_signal(signal.SIGINT)
    said, wrong = process.communicate(timeout=120)
    rest = [line for line in wrong.splitlines() if not line.startswith("import time:")]
    assert (process.returncode, said, rest) == (130, "", ["Interrupted. Nothing was begun."])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_a_program_that_imports_the_library_keeps_its_ctrl_c(tmp_path: Path) -> None:
    look = "import signal, refine; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    script = tmp_path / "theirs.py"
    script.write_text(look)
    for command in (["-c", look], [str(script)]):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=True, preexec_fn=interruptible
        )
        assert done.stdout == "True\n"
