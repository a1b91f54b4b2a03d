"""How Sphinx makes a site of these pages: `make site`. The pages are Markdown that reads well without it."""

project = "oddlens"
author = "The oddlens maintainers"
copyright = author  # noqa: A001 Sphinx's name for it
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "oddlens"
html_copy_source = False
html_static_path: list[str] = []

myst_heading_anchors = 4  # links to headings, as on any page of Markdown
myst_enable_extensions = ["strikethrough"]
# Some pages begin below the first level, and lexers know no output of ours.
suppress_warnings = ["myst.strikethrough"]
