"""One frame of a DICOM file to uint8 pixels, through the window that the file asks for.

Stored values become those of the modality (Hounsfield units of a CT), these are seen through the first window of the
file, or a table of it, or where it has neither from the least to the greatest value of the frame. Needs pydicom.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from oddlens.errors import UnreadableImage
from oddlens.files import open_regular
from oddlens.reading.bounds import over_memory

SUFFIXES = (".dcm", ".dicom")
PIXEL_BYTES = 40  # that one pixel takes while it is brought to 8 bits, at most
MOST_FRAMES = 100_000


def is_dicom(head: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of a DICOM file."""
    return head[128:132] == b"DICM"


def count_frames(path: Path) -> int:
    """The frames of a DICOM file; 1 where that cannot be told."""
    try:
        import pydicom

        with open_regular(path) as file:
            if not is_dicom(file.read(132)):
                return 1
            file.seek(0)
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
            return min(max(1, int(header.get("NumberOfFrames") or 1)), MOST_FRAMES)
    except Exception:  # not installed, or damaged, which is said when it is read
        return 1


def decode_dicom(file: IO[bytes], name: str, frame: int, memory: int) -> NDArray[np.uint8]:
    """A frame as uint8 (height, width, 1 or 3); raises ``UnreadableImage``, or whatever pydicom does."""
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array
    except ImportError as error:
        raise UnreadableImage(name, "a DICOM file, which needs pydicom: pip install 'oddlens[dicom]'") from error
    data = pydicom.dcmread(file)
    if "PixelData" not in data or "Rows" not in data:
        raise UnreadableImage(name, "a DICOM file without an image")
    width, height = int(data.Columns), int(data.Rows)
    needed = PIXEL_BYTES * width * height * int(data.get("SamplesPerPixel", 1))
    if needed > memory:
        raise UnreadableImage(name, over_memory(width, height, needed, memory))
    values = pixel_array(data, index=frame)
    kind = str(data.get("PhotometricInterpretation", "MONOCHROME2"))
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, data)
    if values.ndim == 3:
        return np.asarray(values if values.dtype == np.uint8 else values >> 8, np.uint8)
    values = np.asarray(apply_modality_lut(values, data), np.float64)
    if "VOILUTSequence" in data:
        share = _stretched(np.asarray(apply_voi_lut(values, data, prefer_lut=True), np.float64))
    else:
        share = _windowed(values, data)
    share = np.round(255 * (1 - share if kind == "MONOCHROME1" else share))
    return np.asarray(share, np.uint8)[..., None]


def _windowed(values: NDArray[np.float64], data: Any) -> NDArray[np.float64]:
    """Values through the first window, as shares of white (DICOM PS3.3 C.11.2.1.2)."""
    center, width = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
    if center is None or width is None or not width >= 1:
        return _stretched(values)
    function = str(data.get("VOILUTFunction", "LINEAR"))
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -500, 500))))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    return np.clip((values - (center - 0.5)) / max(width - 1, 1e-9) + 0.5, 0, 1)


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    return (values - low) / ((high - low) or 1)


def _first(value: Any) -> float | None:
    """The first of one or several numbers."""
    if value is None or value == "":
        return None
    return float(value if isinstance(value, int | float | str) else value[0])
