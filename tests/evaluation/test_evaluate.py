"""Evaluation from end to end, on sets small enough to measure in a moment."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from instant import InstantEncoder
from oddlens.cli import main
from oddlens.errors import MissingExtra, OptionError, OutputError, SourceError
from oddlens.evaluation import datasets, results, tables
from oddlens.evaluation import evaluate as module
from oddlens.evaluation.draws import Draw
from oddlens.evaluation.evaluate import METHODS, Bench, Block, evaluate, evaluate_folder, kept
from oddlens.evaluation.fingerprints import code_digest, images_digest, meaning
from oddlens.evaluation.peers import PEERS, Peer

QUICK = ["autoencoder+neighbors", "pixels-knn5", "sklearn-lof"]


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """An encoder that learns in a millisecond; all else as the user runs it."""
    build = module._own_model

    def quick(method, seed, n_jobs):
        model = build(method, seed, n_jobs)
        if method.startswith("autoencoder+"):
            model.set_params(encoder=InstantEncoder())
        return model

    monkeypatch.setattr(module, "_own_model", quick)


@pytest.fixture
def small(monkeypatch):
    """Two data sets of 3 classes: 30 little pictures each, a bright bar in one of three rows."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (90, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(90) % 3
    for image, label in zip(images, labels, strict=True):
        image[1 + 2 * label : 3 + 2 * label] += 150

    def load(name):
        if name == "fashion":
            raise SourceError("Fashion-MNIST is not installed: apt install dataset-fashion-mnist")
        return images, labels

    monkeypatch.setattr(datasets, "load", load)
    return images, labels


@pytest.fixture
def folder(tmp_path):
    """Labels disc (25 images), bar (14), dot (3), and what has no label."""
    rng = np.random.default_rng(1)
    place = tmp_path / "parts"
    for label, count, shade in (("bar", 14, 90), ("disc", 25, 200), ("dot", 3, 250)):
        (place / label / "deeper").mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 30, (10, 10), dtype=np.uint8)
            pixels[3:7, 3 if label == "disc" else 5 : 7] += np.uint8(shade - 30)
            Image.fromarray(pixels).save(place / label / ("deeper" if number % 2 else "") / f"{number}.png")
    Image.new("L", (10, 10)).save(place / "loose.png")
    (place / "disc" / "broken.jpg").write_bytes(b"")
    return place


def test_rows_hold_all_that_was_measured_and_the_means_follow(small, tmp_path):
    found = evaluate(["A"], data=["mnist"], contamination=[0.1, 0.2], seeds=[0, 1], methods=QUICK, out=tmp_path / "out",
                     n_jobs=1)
    assert len(found.rows) == 2 * 2 * 3 * 3
    row = found.rows[0]
    assert {"protocol", "data", "c", "case", "seed", "method", "auroc", "average_precision", "precision_at_n",
            "seconds", "cpu_seconds", "fitted", "scored", "odd", "set", "settings"} == set(row)
    assert (row["fitted"], row["scored"], row["odd"]) == (33, 33, 3)
    on_disk = json.loads((tmp_path / "out" / "rows-A-mnist.json").read_text())
    assert on_disk == found.rows
    groups = found.groups()
    assert [(group.c, group.sets, group.seeds) for group in groups] == [(0.1, 6, 2), (0.2, 6, 2)]
    entry = groups[0].entries[-1]
    means = [np.mean([row["auroc"] for row in found.rows if (row["seed"], row["c"], row["method"]) ==
                      (seed, 0.1, entry.method)]) for seed in (0, 1)]
    assert entry.means["auroc"] == pytest.approx((np.mean(means), abs(means[0] - means[1]) / 2))
    assert {entry.method for entry in groups[0].entries} == set(QUICK)
    best = next(entry for entry in groups[0].entries if entry.method == "pixels-knn5")
    assert best.means["auroc"][0] > 0.9


def test_a_run_that_was_cut_off_goes_on(small, tmp_path, monkeypatch):
    out, score, calls = tmp_path / "out", Bench._score, []

    def counted(self, method, draw, seed, seen):
        calls.append((method, len(draw.fitted)))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return score(self, method, draw, seed, seen)

    monkeypatch.setattr(Bench, "_score", counted)
    options = {"data": ["mnist"], "methods": ["pixels-knn5", "sklearn-lof"], "out": out}
    with pytest.raises(KeyboardInterrupt):
        evaluate(["A"], **options)
    before = kept(out).rows
    assert len(before) == 4
    calls[:] = [None] * 10
    after = evaluate(["A"], **options).rows
    assert after[:4] == before, "measured again, or lost"
    assert len(after) == 6
    calls[:] = [None] * 10
    assert evaluate(["A"], **options).rows == after
    assert len(calls) == 10, "what is kept was measured again"


def test_other_images_settings_and_code_are_measured_again(small, tmp_path, monkeypatch):
    options = {"data": ["mnist"], "methods": ["pixels-knn5"], "classes": ["1"], "out": tmp_path / "out"}
    first, = evaluate(["A"], **options).rows
    monkeypatch.setattr(Peer, "settings", lambda self: "another version")
    second, = evaluate(["A"], **options).rows
    assert second["settings"] == "another version"
    small[0][:] = small[0][::-1].copy()
    third, = evaluate(["A"], **options).rows
    assert third["set"] != second["set"] == first["set"]
    assert kept(tmp_path / "out").rows == [third], "stale rows are replaced, not kept beside"


def test_members_are_rows_of_their_own_and_go_with_their_whole(small, tmp_path, monkeypatch):
    from oddlens.model import AnomalyModel

    columns = ["neighbors", "activations"]
    monkeypatch.setattr(module, "_own_model", lambda *_: AnomalyModel(InstantEncoder(), columns, n_jobs=1))
    options = {"data": ["mnist"], "methods": ["oddlens"], "classes": ["0"], "out": tmp_path / "out"}
    rows = evaluate(["A"], **options).rows
    assert [row["method"] for row in rows] == ["oddlens", "oddlens: neighbors", "oddlens: activations"]
    assert rows[0]["seconds"] > 0
    assert rows[1]["seconds"] is None
    assert evaluate(["A"], **options).rows == rows
    columns[:] = ["neighbors", "reconstruction"]
    monkeypatch.setattr(module, "code_digest", lambda: "changed")
    evaluate(["A"], **options)
    assert [row["method"] for row in kept(tmp_path / "out").rows] == [
        "oddlens", "oddlens: neighbors", "oddlens: reconstruction"]


def test_what_is_missing_is_left_out_with_a_line(small, tmp_path, monkeypatch):
    monkeypatch.setitem(PEERS, "pyod-knn", Peer("pixels", PEERS["pyod-knn"].score, {"no_such_module": "pyod"}))

    def no_plot(path, panels):
        raise MissingExtra.named("matplotlib", "evaluate", "The plot")

    monkeypatch.setattr(module.plots, "write_plot", no_plot)
    found = evaluate(["A"], classes=["0"], methods=["pyod-knn", "pixels-knn5"], out=tmp_path / "out")
    assert [row["data"] for row in found.rows] == ["mnist"]
    assert found.notes == [
        "left out: pyod-knn needs pyod: pip install 'oddlens[evaluate]'",
        "left out: Fashion-MNIST is not installed: apt install dataset-fashion-mnist",
        "left out: The plot needs matplotlib, which is not installed: pip install 'oddlens[evaluate]'"]
    assert "plot" not in found.files
    with pytest.raises(OptionError, match=r"nothing to measure.*\n.*apt install"):
        evaluate(["A"], data=["fashion"], methods=["pixels-knn5"], out=tmp_path / "out")


def test_a_rival_that_fails_is_said_once_and_ends_nothing(small, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("no")

    monkeypatch.setitem(PEERS, "pyod-knn", Peer("pixels", fail, {}))
    found = evaluate(["A"], data=["mnist"], methods=["pyod-knn", "pixels-knn5"], out=tmp_path / "out")
    assert found.notes == ["left out: pyod-knn failed, ZeroDivisionError: no (first on A mnist 0 seed 0)"]
    assert len(found.rows) == 3


def test_every_protocol_draws_what_its_name_says(small):
    sets = {protocol: [draw for block in module.blocks_of(protocol, "mnist", [0.1], None) for draw in block.draws()]
            for protocol in ("A", "B", "C", "C5")}
    for protocol, made in sets.items():
        assert [draw.case for draw in made] == ["0", "1", "2"]
        assert all((draw.scored is None) == (protocol in ("A", "C5")) for draw in made)
        assert all(len(draw.odd) == len(draw.fitted if draw.scored is None else draw.scored) for draw in made)
    assert [draw.odd.mean() for draw in sets["B"]] == pytest.approx([2 / 3] * 3)
    assert [draw.odd.mean() for draw in sets["C"]] == pytest.approx([1 / 3] * 3)
    assert [draw.odd.sum() for draw in sets["C5"]] == [3, 3, 3]
    assert [block.seed for block in module.blocks_of("D", "elpv", [0.1], None)] == [0, 1, 2, 3, 4]


def test_your_own_labels_are_measured_in_turn(folder, tmp_path):
    found = evaluate_folder(folder, methods=QUICK[1:], contamination=[0.2], out=tmp_path / "out")
    assert {(row["protocol"], row["data"], row["case"]) for row in found.rows} == {
        ("labels", "parts", "bar"), ("labels", "parts", "disc")}
    assert {row["odd"] for row in found.rows} == {3, 5}
    assert any("broken.jpg" in note for note in found.notes)
    assert any("1 images directly in" in note for note in found.notes)
    assert any("never nominal" in note and "dot" in note for note in found.notes)


def test_one_of_your_labels_may_be_the_odd_one(folder, tmp_path):
    found = evaluate_folder(folder, odd="dot", methods=["pixels-knn5"], out=tmp_path / "out")
    row, = found.rows
    assert (row["case"], row["fitted"], row["odd"], row["c"]) == ("dot is odd", 42, 3, None)
    assert row["auroc"] > 0.9
    assert "own labels" in found.text()
    for options in ({"odd": "dto"}, {"classes": ["discs"]}):
        with pytest.raises(OptionError, match="Did you mean"):
            evaluate_folder(folder, out=tmp_path / "out", **options)


def test_nothing_is_written_among_images_or_over_other_files(folder, tmp_path):
    for out in (folder, folder / "x"):
        with pytest.raises(OutputError, match="never written to"):
            evaluate_folder(folder, out=out)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("1")
    with pytest.raises(OutputError, match="not of an evaluation"):
        evaluate(["A"], out=tmp_path / "thesis")
    with pytest.raises(OutputError, match="is a file"):
        evaluate(["A"], out=tmp_path / "thesis" / "chapter")


def test_a_folder_without_labels_is_refused(folder, tmp_path):
    with pytest.raises(SourceError, match="one a label"):
        evaluate_folder(folder / "disc", out=tmp_path / "out")
    with pytest.raises(SourceError, match="not a folder"):
        evaluate_folder(folder / "loose.png", out=tmp_path / "out")


def test_damaged_rows_are_not_overwritten(tmp_path):
    with results.claimed(tmp_path / "out"):
        pass
    for content in (b"{", b"[1]", b'[{"set": "x", "settings": "y"}]', b"3"):
        (tmp_path / "out" / "rows-A-mnist.json").write_bytes(content)
        with pytest.raises(OutputError, match="Move it away"):
            kept(tmp_path / "out")


@pytest.mark.parametrize(("options", "message"), [
    ({"protocols": ["E"]}, "no protocol"), ({"data": ["mnsit"]}, "Did you mean 'mnist'"),
    ({"data": ["blur"]}, "data set of protocol A"), ({"contamination": [0.0]}, "above 0"),
    ({"methods": ["pyod-kn"]}, "Did you mean 'pyod-knn'"), ({"methods": ["pca+neighbors"]}, "no encoder"),
    ({"methods": ["dictionary+neighbours"]}, "no detector"), ({"n_jobs": 0}, "n_jobs"),
    ({"classes": ["cat"], "data": ["mnist"]}, "nothing to measure"),
])
def test_options_that_cannot_work_are_refused(small, tmp_path, options, message):
    with pytest.raises(OptionError, match=message):
        evaluate(**options, out=tmp_path / "out")


def test_the_default_of_each_effort_is_among_the_methods():
    from oddlens.views import EFFORTS

    assert METHODS[0] == "oddlens"
    assert len(METHODS) == len(EFFORTS) + len(PEERS)


def test_tables_tell_how_many_sets_a_mean_is_of():
    row = {"protocol": "A", "data": "mnist", "c": 0.1, "seed": 0, "auroc": 0.9, "average_precision": 0.5,
           "precision_at_n": 0.4, "seconds": 1.0, "cpu_seconds": 2.0}
    rows = [{**row, "case": case, "method": method}
            for method, case in (("b", "0"), ("b", "1"), ("oddlens", "0"))]
    groups = tables.summarise(rows, ["oddlens"])
    assert [entry.method for entry in groups[0].entries] == ["oddlens", "b"]
    assert "1 of 2 sets" in tables.text(groups)
    assert tables.markdown(groups).splitlines()[2:] == [
        "| method | mnist, 10 % (2 sets) | CPU-s a set |", "| --- | --- | --- |",
        "| oddlens | 0.900 / 0.500 (1 of 2) | 2.0 |", "| b | 0.900 / 0.500 | 2.0 |"]
    assert tables.plain(groups)[0]["methods"][1]["standard_error"]["auroc"] is None


def test_the_digest_of_code_sees_code_that_scores_and_nothing_else(tmp_path):
    assert meaning("def f():\n    'Text.'\n    return 1  # one\n") == meaning("def f():\n    return 1")
    assert meaning("x = 1") != meaning("x = 2")
    files = {"model.py": "from oddlens.views import View\nfrom oddlens import kernels", "views.py": "x = 1",
             "kernels.py": "import numba", "cli.py": "import click",
             "sources/opening.py": "v = 5", "reading/decoding.py": "u = 6",
             "encoders/dictionary.py": "from oddlens import pixels\nfrom oddlens.sources import opening\n"
                                      "from oddlens.reading import decoding",
             "detectors/forest.py": "y = 2", "pixels.py": "from oddlens.views import x", "evaluation/draws.py": "z = 3"}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = code_digest(tmp_path)
    changes = {}
    for name, text in files.items():
        for added in ("\n# a comment", "\nw = 4"):
            (tmp_path / name).write_text(text + added)
            code_digest.cache_clear()
            changes[name, added[1]] = code_digest(tmp_path) != before
        (tmp_path / name).write_text(text)
    assert {name for (name, _), change in changes.items() if change} == set(files) - {
        "cli.py", "evaluation/draws.py", "sources/opening.py", "reading/decoding.py"}
    assert not any(change for (_, added), change in changes.items() if added == "#")
    (tmp_path / "views.py").write_text("")  # what is defined elsewhere now
    (tmp_path / "kernels.py").write_text("import numba\nx = 1")
    code_digest.cache_clear()
    assert code_digest(tmp_path) == before
    assert images_digest(np.zeros((2, 3))) != images_digest(np.zeros((3, 2)))
    assert images_digest(np.zeros(3), None) != images_digest(np.zeros(3))


def test_the_first_images_are_met_before_the_clock_runs(small, tmp_path, monkeypatch):
    sizes, score = [], Bench._score
    monkeypatch.setattr(Bench, "_score", lambda self, method, draw, seed, seen: (
        sizes.append(len(draw.fitted)), score(self, method, draw, seed, seen))[1])
    bench = Bench(["pixels-knn5"], results.Results(tmp_path), 1, [])
    images = np.concatenate([small[0]] * 2)
    bench.measure(Block("A", "mnist", 0.1, 0, list), Draw(images, None, np.arange(180) < 9))
    assert sizes == [module.WARM_UP_IMAGES, 180]


def test_the_command_prints_tables_json_and_markdown(folder, tmp_path, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["oddlens", "evaluate", "--out", str(tmp_path / "out"), *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code or 0, *capsys.readouterr()

    few = ["--labels", folder, "--methods", "pixels-knn5,pixels-knn50", "--seeds", "0, 1"]
    code, out, _ = run(*few)
    assert code == 0
    assert "labels: your own labels; parts, 10 %" in out
    assert "mean of 4 sets, 2 seeds; +- standard error over seeds" in out
    assert "never nominal" in out
    code, out, _ = run(*few, "--json")
    assert [method["method"] for method in json.loads(out)["groups"][0]["methods"]] == ["pixels-knn50", "pixels-knn5"]
    assert json.loads(out) == json.loads((tmp_path / "out" / "summary.json").read_text())
    code, out, _ = run("--table")
    assert code == 0
    assert out.startswith("**labels**")
    assert "| pixels-knn5 | " in out
    for bad, message in [(["--seeds", "a"], "--seeds takes numbers"), (["--odd", "dot"], "--labels FOLDER"),
                         (["--contamination", "2"], "at most 1")]:
        code, out, err = run(*bad)
        assert code == 2
        assert message in err
        assert out == ""


def test_the_plot_is_a_picture_of_every_group(small, tmp_path):
    pytest.importorskip("matplotlib")
    found = evaluate(["A"], data=["mnist"], contamination=[0.1, 0.3], methods=["pixels-knn5"], out=tmp_path / "out")
    with Image.open(found.files["plot"]) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height
