"""Anything that holds images, opened as one ``ImageSource``: one file a kind, one argument for all of them."""

from oddlens.sources.array import ArraySource as ArraySource
from oddlens.sources.image_files import FileSource as FileSource
from oddlens.sources.image_files import printable as printable
from oddlens.sources.opening import open_source as open_source

__all__ = ["ArraySource", "FileSource", "open_source", "printable"]
