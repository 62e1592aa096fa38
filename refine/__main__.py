"""`python -m refine` is the command line."""

from refine.commands.cli import main

if __name__ == "__main__":
    main()
