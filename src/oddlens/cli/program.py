"""The command `oddlens`: all commands in one group, and what becomes of their errors."""

from __future__ import annotations

import sys

import click

import oddlens
from oddlens.cli.evaluating import evaluate_command
from oddlens.cli.listing import list_command
from oddlens.cli.ranking import demo_command, rank_command, score_command, update_command
from oddlens.cli.reviewing import export_command, review_command, serve_command
from oddlens.cli.terminal import printable
from oddlens.errors import OddlensError
from oddlens.interruption import interruptible, say_interrupted


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(oddlens.__version__, prog_name="oddlens")
def cli() -> None:
    """Find the odd images in an unlabelled collection."""


for each in (rank_command, score_command, update_command, demo_command, review_command, serve_command,
             export_command, evaluate_command, list_command):
    cli.add_command(each)


def main() -> None:
    """Run the command line; an error of ours is one line and exit code 2, a bug keeps its traceback."""
    # File names may hold bytes that are no text in the terminal's encoding; print them escaped, do not fail.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            code = cli.main(prog_name="oddlens", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:  # Ctrl-C
        sys.exit(say_interrupted())
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OddlensError as error:
        click.echo(f"oddlens: {printable(str(error))}", err=True)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if "out of memory" in str(error):  # torch's words for it, with CUDA or HIP before them
            click.echo("oddlens: there is not enough memory on the GPU for this. --device cpu does without it. No "
                       "finished result was changed.", err=True)
            sys.exit(2)
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):  # and for this
            raise
        click.echo("oddlens: there is not enough memory for this. Free some, or ask for less: --fast, a smaller "
                   "--image-size, --set detail=0, or fewer images. No finished result was changed.", err=True)
        sys.exit(2)
