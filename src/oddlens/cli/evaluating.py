"""The command that measures with labels: evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from oddlens.cli.options import listed, numbers, shared
from oddlens.cli.terminal import printable, printable_lines, progress
from oddlens.errors import OptionError


@click.command("evaluate")
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
@shared("isolate", "memory", "seconds", "jobs", "quiet", "json")
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

    options: dict[str, Any] = {"seeds": numbers(seeds, int, "--seeds"), "classes": listed(classes),
                               "methods": listed(methods), "out": out, "n_jobs": jobs}
    shares = numbers(contamination, float, "--contamination")
    if odd is not None and folder is None:
        raise OptionError("--odd names a label of --labels FOLDER: give both.")
    if review and (folder is not None or methods is not None):
        raise OptionError("--review replays sets of a protocol, by oddlens alone: leave --labels and --methods out.")
    result: Any
    with progress(quiet or as_json):
        if review and table:
            result = kept_review(out)
        elif review:
            given = click.get_current_context().get_parameter_source("protocol")
            asked = PROTOCOLS if given == ParameterSource.DEFAULT or protocol == "all" else listed(protocol) or ()
            result = evaluate_review(asked, data=listed(data), contamination=shares or SHARES,
                                     seeds=options["seeds"], classes=options["classes"], out=out, n_jobs=jobs)
        elif table:
            result = kept(out)
        elif folder is not None:
            limits = Limits(int(max_memory * 2**30), max_seconds, isolate)
            result = evaluate_folder(folder, odd=odd, contamination=shares, limits=limits, **options)
        else:
            result = evaluate(listed(protocol) or (), data=listed(data), contamination=shares or (0.1,), **options)
    if as_json:
        click.echo(json.dumps(result.summary(), indent=2))
        return
    click.echo(printable_lines(result.markdown() if table else result.text()))
    for line in [*result.notes, *(f"{label}: {path}" for label, path in result.files.items())]:
        click.echo(printable(line), err=table)
