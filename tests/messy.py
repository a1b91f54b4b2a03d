"""A folder with everything that real folders hold, and what each file should be read as."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

# A picture whose four quarters differ, so that a turn or a flip shows: red, green / blue, grey.
QUARTERS = np.zeros((32, 48, 3), np.uint8)
QUARTERS[:16, :24], QUARTERS[:16, 24:], QUARTERS[16:, :24], QUARTERS[16:, 24:] = (
    (200, 30, 30), (30, 180, 30), (30, 30, 220), (128, 128, 128))


def quarters(image: np.ndarray) -> list[list[int]]:
    """The colours in the middle of each quarter of an image, reading order."""
    h, w = image.shape[:2]
    return [image[y, x].tolist() for y in (h // 4, 3 * h // 4) for x in (w // 4, 3 * w // 4)]


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and holds hardly anything."""
    content = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return content


def big_endian_tiff(values: np.ndarray) -> bytes:
    """Grey of 16 bits in the byte order that Pillow reads but does not write."""
    height, width = values.shape
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: values.nbytes}
    directory = b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = 8 + values.nbytes
    return (b"MM\0*" + struct.pack(">I", start) + values.astype(">u2").tobytes()
            + struct.pack(">H", len(tags)) + directory + bytes(4))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def make(folder: Path) -> Path:
    """Fill a folder. Names beginning with ``bad`` cannot be read; the others can."""
    folder.mkdir()
    rgb = Image.fromarray(QUARTERS)
    grey = rgb.convert("L")
    jpeg = encoded(rgb, "JPEG", quality=95)

    def put(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    put("bad-half.jpg", jpeg[: len(jpeg) // 2])
    put("bad-half.png", encoded(rgb, "PNG")[:70])
    put("bad-empty.png", b"")
    put("bad-text.png", b"this is text\n")
    put("bad-bytes.gif", bytes(range(256)))
    put("bad-bomb.png", png_header(100_000, 100_000))
    put("plain.jpg", jpeg)
    put("UPPER.JPEG", jpeg)
    put("wrong-suffix.txt", encoded(rgb, "PNG"))
    put("no-suffix", encoded(rgb, "PNG"))
    put("deep/er/rgb.png", encoded(rgb, "PNG"))
    put("webp.webp", encoded(rgb, "WEBP", lossless=True))
    put("bmp.bmp", encoded(rgb, "BMP"))
    put("tiff.tif", encoded(rgb, "TIFF"))
    put("cmyk.jpg", encoded(rgb.convert("CMYK"), "JPEG", quality=95))
    put("grey.png", encoded(grey, "PNG"))
    put("one-bit.png", encoded(grey.point(lambda v: 255 * (v > 100)).convert("1"), "PNG"))
    put("16-bit.png", encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG"))
    put("float.tif", encoded(Image.fromarray(np.asarray(grey).astype(np.float32)), "TIFF"))
    put("palette.png", encoded(rgb.quantize(8), "PNG"))
    clear = rgb.convert("RGBA")
    clear.paste((200, 30, 30, 0), (0, 0, 24, 16))
    put("alpha.png", encoded(clear, "PNG"))
    put("grey-alpha.png", encoded(clear.convert("LA"), "PNG"))
    palette = rgb.quantize(8)
    put("palette-alpha.png", encoded(palette, "PNG", transparency=palette.getpixel((2, 2))))
    turned = Image.Exif()
    turned[0x0112] = 6  # "turn me clockwise": stored lying on its left side
    put("turned.jpg", encoded(rgb.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=turned))
    put("turned.tif", encoded(rgb.transpose(Image.Transpose.ROTATE_90), "TIFF", exif=turned))
    put("camera.mpo", encoded(rgb, "MPO", quality=95, save_all=True, append_images=[rgb]))
    put("lab.tif", encoded(ImageCms.profileToProfile(rgb, ImageCms.createProfile("sRGB"),
                                                     ImageCms.createProfile("LAB"), outputMode="LAB"), "TIFF"))
    put("16-bit-big-endian.tif", big_endian_tiff(np.asarray(grey).astype(">u2") * 257))
    put("moving.gif", encoded(rgb, "GIF", save_all=True, append_images=[Image.new("RGB", rgb.size)]))
    put("moving.webp", encoded(rgb, "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", rgb.size)]))
    put("two\nlines.png", encoded(rgb, "PNG"))
    put("<script>alert(1)<.png".replace("/", ""), encoded(rgb, "PNG"))
    put("猫 é.png", encoded(rgb, "PNG"))
    put(".hidden.png", encoded(rgb, "PNG"))
    put(".hidden/inside.png", encoded(rgb, "PNG"))
    put("notes.md", b"# not an image and does not claim to be\n")
    put(os.fsdecode(b"\xff\xfe.png"), encoded(rgb, "PNG"))
    (folder / "deep" / "circle").symlink_to(folder, target_is_directory=True)
    (folder / "linked.png").symlink_to(folder / "bmp.bmp")
    (folder / "bad-circle.png").symlink_to(folder / "bad-circle.png")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "bad-link.png").symlink_to(folder / "nowhere.png")
    os.mkfifo(folder / "bad-pipe.png")
    return folder
