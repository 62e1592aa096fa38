"""The command line. Standard output carries data only; everything else goes to standard error."""

from typing import Annotated

import typer

from refine.commands.convert import convert
from refine.commands.demo import demo
from refine.commands.diagnose import diagnose
from refine.commands.fit import fit
from refine.commands.harm import harm
from refine.commands.inspect import inspect
from refine.commands.one_sentence import in_one_sentence, prepare_streams
from refine.commands.run import run
from refine.commands.watch import watch
from refine.starting import started

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
app.command()(in_one_sentence(convert))
app.command()(in_one_sentence(demo))
app.command()(in_one_sentence(diagnose))
app.command()(in_one_sentence(fit))
app.command()(in_one_sentence(harm))
app.command()(in_one_sentence(inspect))
app.command()(in_one_sentence(run))
app.command()(in_one_sentence(watch))


def main() -> None:
    """Run the command line."""
    started()
    prepare_streams()
    app()


if __name__ == "__main__":
    main()
