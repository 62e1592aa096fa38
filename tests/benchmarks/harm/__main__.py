"""`python -m tests.benchmarks.harm`: `refine harm`, with the recordings beside the checkout."""

import sys

from refine.commands.cli import app

if __name__ == "__main__":
    app(["harm", *sys.argv[1:]], prog_name="python -m tests.benchmarks.harm")
