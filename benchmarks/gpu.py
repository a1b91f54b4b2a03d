"""A GPU beside the processor of the same machine: the same scores to 1e-4, and the time.

python benchmarks/gpu.py [digits] [emoji] [brick] [networks]    measures, keeps and prints; all, or those named
python benchmarks/gpu.py --table                                 what is kept

Collections: the default model fitted to the bundled 10,000 digits, to 20,000 emoji of 64 x 64 in colour changed at
random (``scale.py``, which names EMOJI_DIR), and to 300 parts of 128 x 128 of a photograph of brick, some of them
damaged (``photographs.py``). Each fit is a process of its own, by the clock, without reasons and report; the GPU comes
twice, to see whether it repeats itself. A difference is the largest over all images, in standard deviations of the
scores. Networks: trained on 10,000 digits on either, by the clock; and what those trained on the processor give for the
digits on either, the difference as a share of its norm.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oddlens.files import write_atomically

RESULTS = Path(__file__).parent / "results" / "gpu.json"
COLLECTIONS = ("digits", "emoji", "brick")
NETWORKS = ("autoencoder", "deep_autoencoder", "conv_autoencoder", "transforms")
BACKBONE = "efficientnet-lite0"
STAGES = ("learning", "encoding", "scoring")


def images_of(name: str) -> Any:
    """A collection by its name."""
    if name == "digits":
        from oddlens.demo import DIGITS
        from oddlens.reading.array_files import read_idx

        return read_idx(DIGITS)
    if name == "emoji":
        from scale import Augmented, emoji

        return Augmented(emoji(), 20_000)
    from photographs import make

    return make("local/brick/scratch/0.05")[0]


def fit(name: str, device: str, into: Path) -> None:
    """One fit in this process: its scores and seconds are written down."""
    from oddlens import AnomalyModel

    images = images_of(name)
    torch.zeros(1, device=device)  # a GPU is woken up once, whatever it then does
    start = time.perf_counter()
    model = AnomalyModel(device=device).fit(images)
    seconds = time.perf_counter() - start
    ranking = model.rank()
    np.savez(into, scores=ranking.scores, flagged=ranking.flagged, seconds=seconds,
             stages=[model.timings_.get(stage, 0.0) for stage in STAGES])


def apart(one: Any, other: Any) -> dict[str, Any]:
    """How far two fits' scores are from each other."""
    difference = np.abs(one["scores"] - other["scores"])
    strangest = [set(np.argsort(-fitted["scores"])[:100]) for fitted in (one, other)]
    return {"difference": float(difference.max() / one["scores"].std()), "median": float(
                np.median(difference) / one["scores"].std()),
            "strangest": len(strangest[0] & strangest[1]), "flags": int((one["flagged"] != other["flagged"]).sum())}


def collection(name: str) -> dict[str, Any]:
    """Fits on the processor and, twice, on the GPU."""
    fitted = []
    with tempfile.TemporaryDirectory() as folder:
        for number, device in enumerate(("cpu", "cuda", "cuda")):
            into = Path(folder) / f"{number}.npz"
            subprocess.run([sys.executable, __file__, "--fit", name, device, str(into)], check=True)
            with np.load(into) as arrays:
                fitted.append({key: arrays[key] for key in arrays})
    on, gpu, again = fitted
    took = {device: {"seconds": round(float(one["seconds"]), 1), **{
        stage: round(float(value), 1) for stage, value in zip(STAGES, one["stages"], strict=True)}}
        for device, one in (("processor", on), ("gpu", again))}
    return {"images": len(on["scores"]), **took, **apart(on, gpu),
            "repeats": bool(np.array_equal(gpu["scores"], again["scores"]))}


def network(name: str) -> dict[str, Any]:
    """Training and encoding by the clock on either, and how far what is encoded is apart."""
    from oddlens import registry

    pixels, found = images_of("digits")[..., None], {}
    options = {"network": BACKBONE} if name == "backbone" else {}
    if name == "backbone":
        pixels = np.repeat(np.repeat(pixels[:500], 4, 1), 4, 2)
    needs = frozenset({"embedding", "residual", "surprise", "activations", "maps"})
    made = {device: registry.create("encoder", name, device=device, random_state=0, **options)
            for device in ("cpu", "cuda")}
    state, given = None, {}
    for device, encoder in made.items():
        for encoder_pixels in (pixels[:300], pixels):  # the first time libraries are loaded and plans made
            start = time.perf_counter()
            encoder.fit(encoder_pixels)
            learning = time.perf_counter() - start
        state = state or encoder.get_state()
        encoder.set_state(state)
        encoder.encode(pixels[:300], needs)
        start = time.perf_counter()
        encoded = encoder.encode(pixels, needs)
        found[device] = {"learning": round(learning, 2), "encoding": round(time.perf_counter() - start, 2)}
        given[device] = [array for array in (encoded.embedding, encoded.residual, encoded.surprise, encoded.maps,
                                             *(encoded.activations or {}).values()) if array is not None]
    differences = [float(np.linalg.norm(a.astype(float) - b) / np.linalg.norm(a.astype(float)))
                   for a, b in zip(given["cpu"], given["cuda"], strict=True)]
    return {"images": len(pixels), "processor": found["cpu"], "gpu": found["cuda"], "difference": max(differences)}


def table(kept: dict[str, Any]) -> None:
    """Two tables: collections, and networks."""
    print("; ".join(sorted({row["where"] for row in kept.values()})) + "\n")
    print("| images | processor, s | GPU, s | difference of scores: largest, median | of the 100 strangest | "
          "flags that differ | GPU repeats itself |\n|" + " --- |" * 7)
    for name in COLLECTIONS:
        if (row := kept.get(name)) is not None:
            took = [", ".join(f"{stage} {row[on][stage]:.1f}" for stage in STAGES) + f", all {row[on]['seconds']:.1f}"
                    for on in ("processor", "gpu")]
            print(f"| {row['images']:,} {name} | {took[0]} | {took[1]} | {row['difference']:.1e}, "
                  f"{row['median']:.1e} | {row['strangest']} | {row['flags']} | {'yes' if row['repeats'] else 'no'} |")
    print("\n| encoder | processor: learning, encoding, s | GPU: the same | difference of features |\n|" + " --- |" * 4)
    for name in (*NETWORKS, "backbone"):
        if (row := kept.get(name)) is not None:
            took = [f"{row[on]['learning']:.2f}, {row[on]['encoding']:.2f}" for on in ("processor", "gpu")]
            print(f"| {name} | {took[0]} | {took[1]} | {row['difference']:.1e} |")


def main(arguments: list[str]) -> None:
    """Measure what is asked for."""
    if arguments[:1] == ["--fit"]:
        fit(arguments[1], arguments[2], Path(arguments[3]))
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if "--table" not in arguments:
        if not torch.cuda.is_available():
            sys.exit("torch finds no GPU here; --table prints what was measured where there was one.")
        where = (f"{torch.cuda.get_device_name()} beside {len(os.sched_getaffinity(0))} processor cores, "
                 f"torch {torch.__version__}")
        for name in arguments or (*COLLECTIONS, "networks"):
            for part in (*NETWORKS, "backbone") if name == "networks" else (name,):
                kept[part] = {"where": where, **(collection if part in COLLECTIONS else network)(part)}
                print(part, kept[part], flush=True)
                write_atomically(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
    table(kept)


if __name__ == "__main__":
    main(sys.argv[1:])
