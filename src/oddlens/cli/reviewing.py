"""The commands that go on from a finished run: review, serve, export."""

from __future__ import annotations

import json
from pathlib import Path

import click

from oddlens.cli.options import shared
from oddlens.cli.terminal import printable


@click.command("review")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--images", "moved", default=None,
              help="Where the images are now, if they were moved since they were ranked.")
@click.option("--name", default=None, help="Who says it, kept with each label.  [default: the name of the account]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page.  [default: any that is free]")
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen on; any other lets other machines in.")
@shared("isolate", "memory", "seconds")
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

    review(run, lambda line: click.echo(printable(line)), images=moved, name=name, host=host, port=port,
           limits=Limits(int(max_memory * 2**30), max_seconds, isolate))


@click.command("serve")
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
@shared("isolate", "memory", "seconds", "jobs")
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

    serve(model, lambda line: click.echo(printable(line)), host=host, port=port, token=token or None,
          limits=Limits(int(max_memory * 2**30), max_seconds, isolate), n_jobs=jobs, most_bytes=int(max_body * 2**20),
          most_inside=queue, seconds=timeout)


@click.command("export")
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
@shared("json")
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
        click.echo(printable(str(path)))
    if done.copied is not None:
        click.echo(f"{len(done.copied.done)} odd images {DOINGS[way]} into {printable(str(target))}")
        for name, reason in done.copied.left:
            click.echo(f"      left: {printable(name)}: {printable(reason)}")


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
    click.echo(printable(str(written.path)))
    click.echo(f"outputs: {', '.join(written.outputs)}")
