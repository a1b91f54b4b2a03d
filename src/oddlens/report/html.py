"""What pages and their parts share: how names and numbers are shown, and how a part's own script is let through.

Names are hostile text. Every template escapes on its own, ``visible`` shows what a reader could not see, and a page's
policy lets no script run but those whose digests it names: a script that came out of a name would not run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_NAME = 120  # characters shown of a name; a longer one loses its middle


def fill(template: str, **values: Any) -> str:
    """A template of ours with its values put in, each escaped. Raises if one is missing."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    """One for all pages: it keeps the templates, which take longer to compile than to fill."""
    environment = Environment(
        loader=PackageLoader("oddlens.report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    shown: dict[str, Callable[..., str]] = {"visible": visible, "short": short, "called": called, "number": number}
    environment.filters |= shown
    return environment


def script(name: str) -> str:
    """The text of one of our scripts, as it stands in the page."""
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()


def digest(text: str) -> str:
    """What a Content-Security-Policy's ``script-src`` names so that a script of exactly this text may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def visible(name: object) -> str:
    """A name with the characters that a reader could not see, or that would turn the line around, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
                   for c in str(name))


def short(name: str) -> str:
    """A name that is too long to stand under a picture, without its middle."""
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME // 2]} … {name[-LONGEST_NAME // 2:]}"


def called(name: object) -> str:
    """A name as it stands under or beside its picture, with something to read where it has nothing."""
    return short(visible(name)) if str(name).strip() else "(no name)"


def number(value: float) -> str:
    """A score in four significant digits."""
    return f"{value:#.4g}".rstrip(".")
