"""Write docs/methods: a page for each encoder and detector, from its docstring and the results that are kept.

`make site` does; nothing here is measured anew. docs/compare.md's table is made of benchmarks/results/evaluate.
"""

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from oddlens import registry
from oddlens.views import DEFAULT

DOCS = Path(__file__).parent
PAGES = DOCS / "methods"
COMPARE = DOCS / "compare.md"
RESULTS = DOCS.parent / "benchmarks" / "results"
FAMILIES = {"class": "one class of digits or clothes", "digits": "subsets of digits", "clothes": "subsets of clothes",
            "texture": "textures", "emoji": "emoji", "stamps": "stamps", "solar": "solar cells", "clipart": "clip art"}
PEERS = ("oddlens", "oddlens-fast", "pyod-autoencoder", "pyod-knn", "pyod-ocsvm", "sklearn-iforest", "sklearn-lof",
         "pixels-knn50", "hog-knn50")


def measured() -> dict[str, dict[str, list[list[float]]]]:
    """View -> family of collections -> AUROC and average precision of each collection with 10 % odd images or fewer."""
    found: dict[str, dict[str, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    for key, row in json.loads((RESULTS / "robustness.json").read_text("utf-8")).items():
        family = key.partition("/")[0]
        if family in FAMILIES and 0 < row["odd"] <= 0.1:
            for view, values in row["scores"].items():
                found[view][family].append(values)
    return found


def page(kind: registry.Role, name: str, rows: dict[str, dict[str, list[list[float]]]]) -> str:
    """One method's page."""
    cls = registry.find(kind, name)
    values = ", ".join(f"{key}={value!r}" for key, value in registry.options(kind, name).items())
    used = [f"{view.encoder}+{view.detector}" for view in DEFAULT if getattr(view, kind) == name]
    lines = [f"# {name}", "", _about(kind, cls), "", inspect.cleandoc(inspect.getmodule(cls).__doc__ or ""), "",
             "```text", f"{cls.__name__}({values})", "", inspect.cleandoc(cls.__doc__ or ""), "```", "",
             "## Measured", ""]
    views = sorted(view for view in rows if name in view.split("+"))
    if views:
        lines += ["AUROC / average precision of each view by itself that it is part of, the mean over the collections "
                  "of a family of which 10 % or fewer are odd (`python benchmarks/robustness.py --table` prints all):",
                  "", *table(views, rows), ""]
    lines += alone(name)
    if used:
        lines += ["In the default: " + ", ".join(f"`{view}`" for view in used) + ".", ""]
    lines += [f"Its cost on your machine: `python benchmarks/costs.py {name}`." if kind == "encoder" else
              "What the views cost on your machine: `python benchmarks/costs.py`.", ""]
    return "\n".join(lines)


def alone(name: str) -> list[str]:
    """What a method did by itself on four collections, and its seconds, from benchmarks/results/methods.json."""
    row = json.loads((RESULTS / "methods.json").read_text("utf-8"))[name]
    titles = {"threes": "threes with other digits", "shirts": "shirts with other clothes",
              "brick, smoother": "pieces of brick, some smoother",
              "brick, scratched": "pieces of brick, some scratched"}
    sets = row["sets"]
    lines = [f"By itself, with `{row['with']}`, on four small collections of which a tenth is odd "
             f"(`python benchmarks/methods.py {name}`): AUROC / average precision, and seconds of one core to learn, "
             "encode and score.", "", "| collection | | seconds |", "| --- | --- | --- |"]
    for title, words in titles.items():
        if title in sets:
            lines.append("| {} | {:.3f} / {:.3f} | {:.1f} |".format(words, *sets[title]))
    return [*lines, ""]


def table(views: list[str], rows: dict[str, dict[str, list[list[float]]]]) -> list[str]:
    """A row a family, a column a view, and the default beside them."""
    columns = ["default", *views]
    families = [family for family in FAMILIES if any(family in rows[view] for view in columns)]
    lines = ["| | collections | " + " | ".join(f"`{name}`" if "+" in name else name for name in columns) + " |",
             "| --- |" + " --- |" * (len(columns) + 1)]
    for family in families:
        cells = [_pair(rows[view][family]) for view in columns]
        lines.append(f"| {FAMILIES[family]} | {len(rows['default'][family])} | {' | '.join(cells)} |")
    return lines


def compared() -> str:
    """The rows of the baselines of protocol A at 10 %, seed 0, from the kept results."""
    lines = ["| method | MNIST-10k | Fashion-MNIST | processor seconds a set |", "| --- | --- | --- | --- |"]
    sets = {data: [row for row in json.loads((RESULTS / "evaluate" / f"rows-A-{data}.json").read_text("utf-8"))
                   if row["c"] == 0.1 and row["seed"] == 0] for data in ("mnist", "fashion")}
    for method in PEERS:
        of = {data: [row for row in rows if row["method"] == method] for data, rows in sets.items()}
        cells = [_pair([[row["auroc"], row["average_precision"]] for row in rows]) for rows in of.values()]
        seconds = np.mean([row["cpu_seconds"] for rows in of.values() for row in rows])
        lines.append(f"| `{method}` | {' | '.join(cells)} | {seconds:.1f} |")
    return "\n".join(lines)


def comparison() -> str:
    """docs/compare.md with its table as the kept results say."""
    before, start, rest = COMPARE.read_text("utf-8").partition("<!-- compared -->")
    return before + start + "\n" + compared() + "\n<!-- /compared -->" + rest.partition("<!-- /compared -->")[2]


def _about(kind: str, cls: type) -> str:
    if kind == "encoder":
        return f"An encoder. It looks at {getattr(cls, 'looks_at', 'the images')}."
    return (f"A detector. It judges an image {getattr(cls, 'judges', '')} and looks for "
            f"{getattr(cls, 'seeks', 'odd images')}.")


def _pair(values: list[list[float]]) -> str:
    return " / ".join(f"{mean:.3f}" for mean in np.mean(values, 0)) if values else ""


def main() -> None:
    """Write all pages and their list."""
    PAGES.mkdir(exist_ok=True)
    rows = measured()
    lines = ["# Methods", "", "A page for each, from its docstring, with what it was measured at.", ""]
    for kind in ("encoder", "detector"):
        lines += [f"## {kind.capitalize()}s", "", "```{toctree}", ":maxdepth: 1", ""]
        for name in registry.names(kind):
            (PAGES / f"{name}.md").write_text(page(kind, name, rows), "utf-8")
            lines.append(name)
        lines += ["```", ""]
    (PAGES / "index.md").write_text("\n".join(lines), "utf-8")
    COMPARE.write_text(comparison(), "utf-8")


if __name__ == "__main__":
    main()
