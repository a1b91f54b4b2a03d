"""Draw docs/images/evaluation.png from the kept rows: python docs/make_evaluation_picture.py"""

from pathlib import Path

from oddlens.evaluation.evaluate import kept, panels
from oddlens.evaluation.plots import write_plot

ROOT = Path(__file__).parents[1]
SHOWN = ["A: mnist, 10 %", "A: fashion, 10 %", "A: fashion, 50 %", "C: mnist", "C: fashion", "D: foreign, 2 %",
         "D: blur, 2 %", "D: elpv, 5 %", "D: emoji, 5 %"]

drawn = {panel.title: panel for panel in panels(kept(ROOT / "benchmarks" / "results" / "evaluate").groups())}
write_plot(ROOT / "docs" / "images" / "evaluation.png", [drawn[title] for title in SHOWN])
