"""What a notebook shows: a bar while work goes on, and cards of images with what is said of each."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

INTERVAL = 0.1  # seconds between two updates of the bar, at least
LONGEST_NAME = 40  # characters shown of a name; a longer one loses its middle, and is whole where the mouse rests
CARD = ("box-sizing:border-box;width:140px;padding:8px;border:2px solid {border};border-radius:6px;font-size:12px;"
        "line-height:1.4;overflow-wrap:anywhere")
PICTURE = "display:block;width:120px;height:120px;object-fit:contain;margin-bottom:6px"
FLAGGED, ORDINARY = "#c62828", "rgba(128,128,128,.4)"


@dataclass(frozen=True)
class Card:
    """An image in a notebook.

    name:     as it is; it may hold anything.
    lines:    what is said of it.
    picture:  a data URI; empty where there is none to show.
    flagged:  whether it is marked.
    """

    name: str
    lines: Sequence[str]
    picture: str = ""
    flagged: bool = False


def cards(heading: str, shown: Sequence[Card]) -> str:
    """Images side by side, as HTML that needs nothing beside it; no script, and every text escaped."""
    inner = "".join(map(_card, shown))
    return (f'<div><p style="margin:.4em 0">{escape(heading)}</p>'
            f'<div style="display:flex;flex-wrap:wrap;gap:8px">{inner}</div></div>')


def _card(card: Card) -> str:
    name = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in card.name)
    half = LONGEST_NAME // 2
    short = name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
    tiny = card.picture.startswith("data:image/png")  # of which every pixel is kept
    sharp = ";image-rendering:pixelated" if tiny else ""
    picture = (f'<img src="{escape(card.picture)}" alt="{escape(name)}" style="{PICTURE}{sharp}">'
               if card.picture else "")
    mark = f'<strong style="color:{FLAGGED}">flagged</strong><br>' if card.flagged else ""
    lines = "<br>".join(map(escape, card.lines))
    return (f'<div style="{CARD.format(border=FLAGGED if card.flagged else ORDINARY)}">{picture}{mark}'
            f'<strong title="{escape(name)}">{escape(short)}</strong><br>{lines}</div>')


def bar() -> Bar | None:
    """The bar of the notebook that this runs in; None outside one, and on other threads than the first."""
    if "IPython" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return None
    shell = sys.modules["IPython"].get_ipython()
    return _bar(shell) if shell is not None and hasattr(shell, "kernel") else None


@cache
def _bar(shell: Any) -> Bar:
    return Bar(shell)


class Bar:
    """One line below the running cell, with the stage that is going on; it goes when the cell is done."""

    def __init__(self, shell: Any) -> None:
        self._handle: Any = None
        self._last = 0.0
        shell.events.register("post_run_cell", self._clear)

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` units of a stage are done."""
        now = time.monotonic()
        if now - self._last < INTERVAL and done < total:
            return
        self._last = now
        self._show(f'<progress value="{done}" max="{total}"></progress> {escape(stage)}: {done:,} of {total:,}')

    def _show(self, text: str) -> None:
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(text), display_id=True)
        else:
            self._handle.update(HTML(text))

    def _clear(self, *_: object) -> None:
        if self._handle is not None:
            self._show("")
            self._handle = None
