"""``python -m oddlens`` is the command ``oddlens``."""

from oddlens.cli import main

main()
