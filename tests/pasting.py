"""A page pasted block by block, as a newcomer would: all of it runs, and what it says is printed is printed.

    python tests/pasting.py docs/start.md        prints what each block prints, in a folder that is then removed
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner

from oddlens.cli import cli

DOCS = Path(__file__).parent.parent / "docs"
# These wait for a person, or install.
LEFT_OUT = ("oddlens review", "pip ", "uv ")


def blocks(page):
    """The language and text of each block of a page, in order."""
    return re.findall(r"^```(python|sh|text)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def paste(page, told=lambda _: None):
    """Run the blocks of a page's text in the present folder; each text block must be what the one before printed."""
    known, printed = {}, ""
    for language, text in blocks(page):
        if language == "text":
            require(text, printed)
            continue
        printed = python(text, known) if language == "python" else commands(text)
        told(printed)


def python(text, known):
    """What a block of Python prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(text, "page", "exec"), known)
    return out.getvalue()


def commands(text):
    """What the commands of a block print."""
    printed = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith(LEFT_OUT) or not line.strip():
            continue
        if line.startswith("oddlens "):
            done = CliRunner().invoke(cli, shlex.split(line, comments=True)[1:], catch_exceptions=False)
            assert done.exit_code == 0, f"{line}\n{done.output}"
            printed.append(done.output)
        else:
            printed.append(subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout)
    return "".join(printed)


def require(wanted, printed):
    """Each line of the page was printed, in order; ``...`` stands for lines that are left out."""
    parts = ["(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()) + "\n"
             for line in wanted.strip("\n").splitlines()]
    pattern = "".join(parts)
    lines = "".join(line.rstrip() + "\n" for line in printed.strip("\n").splitlines())
    assert re.fullmatch(pattern, lines), f"the page says\n{wanted}\nbut this is printed\n{printed}"


if __name__ == "__main__":
    path = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        paste(path.read_text(), lambda printed: print(printed, end="\n-----\n"))  # noqa: T201
        if len(sys.argv) > 2:
            os.system(f"cp -r {folder} {shlex.quote(sys.argv[2])}")
