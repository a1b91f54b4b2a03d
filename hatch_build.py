"""What the package's page on an index is made of: README.md with links that hold there, and the project's addresses.

Links in README.md lead to files beside it, which an index does not have. Where pyproject.toml names the repository,
each becomes an absolute link to the file as it was at this version, and the project's addresses are given too. Where
none is named, a link is left as its text and a picture as its description: no link is better than a broken one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


class IndexPage(MetadataHookInterface):
    """Gives ``readme`` and ``urls``. Options, all in [tool.hatch.metadata.hooks.custom] of pyproject.toml:

    repository:  the address of the repository, or nothing.
    page:        how a file is addressed there to be read, of {repository}, {version} and {path}.
    picture:     the same of a file's content.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Put both into the metadata."""
        version = re.search(r'__version__ = "([^"]+)"', Path(self.root, "src/oddlens/__init__.py").read_text("utf-8"))
        if version is None:
            raise ValueError("src/oddlens/__init__.py has no line __version__ = \"...\", which links are made of.")
        text = Path(self.root, "README.md").read_text("utf-8")
        page = absolute(text, self.config, version[1])
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
        metadata["urls"] = addresses(self.config, version[1])


def absolute(text: str, config: dict[str, str], version: str) -> str:
    """The text with absolute links, or, where no repository is named, without links to files."""

    def changed(link: re.Match[str]) -> str:
        path, mark, place = link["target"].partition("#")
        if "://" in path or not path:
            return link[0]
        if not config.get("repository"):
            return f"*{link['text']}*" if link["picture"] else link["text"]
        address = _address(config, version, path, bool(link["picture"]))
        return f"{link['picture']}[{link['text']}]({address}{mark}{place})"

    return LINK.sub(changed, text)


def addresses(config: dict[str, str], version: str) -> dict[str, str]:
    """The project's addresses by their names; none where no repository is named."""
    repository = config.get("repository", "")
    if not repository:
        return {}
    return {"Source": repository, "Documentation": _address(config, version, "docs/index.md"),
            "Changelog": _address(config, version, "CHANGELOG.md")}


def _address(config: dict[str, str], version: str, path: str, picture: bool = False) -> str:
    return config["picture" if picture else "page"].format(repository=config["repository"].rstrip("/"),
                                                           version=version, path=path)
