"""The command line. Standard output carries data only; everything else goes to standard error."""

from typing import Annotated

import typer

from refine.commands.convert import convert
from refine.commands.demo import demo
from refine.commands.diagnose import diagnose
from refine.commands.fit import fit
from refine.commands.inspect import inspect
from refine.commands.run import run
from refine.commands.watch import watch
from refine.errors import InputError, MissingExtra
from refine.folder.outcome import BAD_INPUT

app = typer.Typer(
    help="3D human bodies that really lie on the people in the image.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
)


@app.callback()
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    """3D human bodies that really lie on the people in the image."""
    if version:
        import refine

        typer.echo(refine.__version__)
        raise typer.Exit


# One line a command; each is a file of refine/commands.
app.command()(convert)
app.command()(demo)
app.command()(diagnose)
app.command()(fit)
app.command()(inspect)
app.command()(run)
app.command()(watch)


def main() -> None:
    """Run the command line; a caller's mistake is one sentence on standard error, not a traceback."""
    try:
        app()
    except (InputError, MissingExtra) as error:
        typer.echo(f"refine: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None


if __name__ == "__main__":
    main()
