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
suppress_warnings = ["myst.header"]  # a table of results may begin with a heading of the third level
