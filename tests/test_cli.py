"""The commands as a user runs them, in a process of their own only where that matters."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from oddlens.cli import main
from oddlens.cli.terminal import printable

QUICK = ["--encoder", "autoencoder", "--set", "steps=30"]


@pytest.fixture
def folder(dots, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, image in enumerate(dots[:40]):
        Image.fromarray(255 - image[..., 0] if i == 13 else image[..., 0]).save(folder / f"{i:02}.png")
    (folder / "broken.jpg").write_bytes(b"")
    return folder


@pytest.fixture
def oddlens(monkeypatch, capsys):
    """Run the command line; give exit code, what it printed and what it complained of."""
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["oddlens", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return run


def test_rank_writes_the_run_and_names_the_strangest(oddlens, folder, tmp_path):
    code, out, err = oddlens("rank", folder, "--out", tmp_path / "run", "--detector", "neighbors,forest", *QUICK)
    assert code == 0, err
    assert "13.png" in out.splitlines()[0]
    assert "broken.jpg: the file is empty" in out
    assert "The share of odd images" in out
    assert "somewhere from" in out
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "columns.safetensors", "gallery.png", "images.csv", "model", "reasons.safetensors", "report.html", "run.json",
        "scores.csv", "scores.parquet"]
    assert len((tmp_path / "run" / "scores.csv").read_text().splitlines()) == 41


def test_paths_come_from_standard_input_and_a_column_is_named(oddlens, folder, tmp_path, monkeypatch):
    paths = [str(path) for path in sorted(folder.glob("*.png"))]
    for ending in (b"\n", b"\0"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(p.encode() + ending for p in paths))))
        code, out, err = oddlens("rank", "-", "--out", tmp_path / "run", "--overwrite", "--detector", "forest", *QUICK)
        assert code == 0, err
        assert "13.png" in out.splitlines()[0]
    summary = json.loads((tmp_path / "run" / "run.json").read_text())
    assert summary["images"] == "paths on standard input"
    (tmp_path / "two.csv").write_text("".join(["image,mask\n", *(f"{path},{paths[0]}\n" for path in paths)]))
    code, _, err = oddlens("rank", tmp_path / "two.csv", "--out", tmp_path / "other", *QUICK)
    assert code == 2
    assert "--column image" in err
    code, out, err = oddlens("rank", tmp_path / "two.csv", "--column", "image", "--out", tmp_path / "other", *QUICK)
    assert code == 0, err
    code, out, err = oddlens("score", tmp_path / "other", tmp_path / "two.csv", "--column", "image")
    assert code == 0, err
    assert "13.png" in out.splitlines()[0]


@pytest.mark.parametrize("both", [["--fast", "--thorough"], ["--fast", "--view", "pixels+subspace"],
                                  ["--thorough", "--encoder", "pixels"]])
def test_two_choices_of_views_are_refused(oddlens, folder, tmp_path, both):
    code, _, err = oddlens("rank", folder, "--out", tmp_path / "run", *both)
    assert code == 2
    assert "not both" in err or "one or the other" in err
    assert not (tmp_path / "run").exists()


def test_json_is_machine_readable_and_alone_on_standard_output(oddlens, folder, tmp_path):
    code, out, _ = oddlens("rank", folder, "--out", tmp_path / "run", "--top", 3, "--json", *QUICK)
    summary = json.loads(out)
    assert code == 0
    assert summary["found"] == 41
    assert summary["read"] == 40
    assert summary["unreadable"] == [{"name": "broken.jpg", "reason": "the file is empty"}]
    assert [image["rank"] for image in summary["top"]] == [1, 2, 3]
    assert summary == json.loads((tmp_path / "run" / "run.json").read_text())


def test_none_of_the_strangest_may_be_asked_for(oddlens, folder, tmp_path):
    code, out, err = oddlens("rank", folder, "--out", tmp_path / "run", "--top", 0, "--detector", "forest", *QUICK)
    assert code == 0, err
    assert "13.png" not in out
    assert "The share of odd images" in out


def test_score_judges_new_images_with_a_run_and_with_a_model(oddlens, folder, dots, tmp_path):
    oddlens("rank", folder, "--out", tmp_path / "run", *QUICK)
    np.save(tmp_path / "new.npy", np.concatenate([dots[50:60], 255 - dots[60:61]])[..., 0])
    results = []
    for model in (tmp_path / "run", tmp_path / "run" / "model"):
        code, out, err = oddlens("score", model, tmp_path / "new.npy", "--json")
        assert code == 0, err
        results.append(json.loads(out)["top"])
    assert [image.pop("causes") for image in results[1]] == [""] * 11  # a model alone keeps no pictures
    causes = [image.pop("causes") for image in results[0]]
    assert causes[0]
    assert results[0] == results[1]
    assert results[0][0]["name"] == "10"


def test_score_can_write_a_run_of_its_own(oddlens, folder, tmp_path):
    oddlens("rank", folder, "--out", tmp_path / "run", *QUICK)
    code, _, err = oddlens("score", tmp_path / "run", folder, "--out", tmp_path / "scored", "--top", 5)
    assert code == 0, err
    assert (tmp_path / "scored" / "report.html").is_file()
    assert not (tmp_path / "scored" / "model").exists()


def test_a_dry_run_says_what_the_run_would_take_and_writes_nothing(oddlens, folder, tmp_path):
    code, out, err = oddlens("rank", folder, "--out", tmp_path / "run", "--dry-run", "--memory", "1G", *QUICK)
    assert code == 0, err
    assert "41 images" in out
    assert "while it runs" in out
    assert not (tmp_path / "run").exists()
    code, out, err = oddlens("rank", folder, "--out", tmp_path / "run", "--memory", "1X", *QUICK)
    assert code == 2
    assert "written like 4G" in err


def test_update_adds_what_came_since_and_says_so(oddlens, folder, dots, tmp_path):
    oddlens("rank", folder, "--out", tmp_path / "run", "--detector", "neighbors", "--encoder", "pixels")
    Image.fromarray(dots[60, ..., 0]).save(folder / "later.png")
    code, out, err = oddlens("update", tmp_path / "run", "--top", 3)
    assert code == 0, err
    assert "1 new images, 0 that changed, 0 that are gone" in out
    assert "cannot be told from 1 new images" in out
    assert len((tmp_path / "run" / "scores.csv").read_text().splitlines()) == 42
    code, out, err = oddlens("update", tmp_path / "run", folder, "--json")
    assert (code, json.loads(out)["update"]["new"]) == (0, 0)


def test_the_folder_of_images_is_never_written_to(oddlens, folder):
    before = sorted(folder.iterdir())
    for out in (folder, folder / "results", folder / ".." / folder.name / "x"):
        code, _, err = oddlens("rank", folder, "--out", out, *QUICK)
        assert code == 2
        assert "never written to" in err
    assert sorted(folder.iterdir()) == before


def test_a_run_may_be_made_again_but_other_folders_are_left_alone(oddlens, folder, tmp_path):
    assert oddlens("rank", folder, "--out", tmp_path / "run", *QUICK)[0] == 0
    before = (tmp_path / "run" / "run.json").read_bytes()
    code, _, err = oddlens("rank", folder, "--out", tmp_path / "run", *QUICK)
    assert code == 2
    assert "finished run" in err
    assert "--overwrite" in err
    assert (tmp_path / "run" / "run.json").read_bytes() == before
    assert oddlens("rank", folder, "--out", tmp_path / "run", "--overwrite", *QUICK)[0] == 0
    assert (tmp_path / "run" / "run.json").read_bytes() != before
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("1")
    code, _, err = oddlens("rank", folder, "--out", tmp_path / "thesis", *QUICK)
    assert code == 2
    assert "not of a run" in err
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["rank", "no-such-folder"], "There is no no-such-folder"),
    (["rank", "{folder}", "--encoder", "autoencodr"], "Did you mean 'autoencoder'"),
    (["rank", "{folder}", "--detector", "forrest"], "Did you mean 'forest'"),
    (["rank", "{folder}", "--set", "latent"], "NAME=VALUE"),
    (["rank", "{folder}", "--detector", "reconstruction"], "which the encoder Dictionary does not give"),
    (["rank", "{folder}", "--set", "leitent=3"], "no option named 'leitent'"),
    (["rank", "{folder}", "--set", "forest.k=3"], "no option named 'forest.k'"),
    (["rank", "{folder}", "--detector", "neighbors", "--set", "k=400"], "k must be a whole number from 1 to 39"),
    (["rank", "{folder}", "--image-size", "big"], "--image-size"),
    (["rank", "{folder}", "--image-size", "0"], "image_size"),
    (["rank", "{folder}", "--encoder", "autoencoder", "--device", "quantum"], "quantum"),
    (["rank", "{folder}", "--jobs", "0"], "n_jobs"),
    (["score", "{folder}", "{folder}"], "model.json"),
    (["score", "nowhere", "{folder}"], "There is no nowhere"),
    (["rank"], "There is nothing to rank"),
    (["sort"], "No such command"),
])
def test_bad_use_is_one_line_and_exit_code_2(oddlens, folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = oddlens(*(text.format(folder=folder) for text in arguments))
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""


def test_a_bug_keeps_its_traceback_and_exits_with_1(tmp_path):
    code = ("import sys, oddlens.cli, oddlens.registry\n"
            "def bug(*a, **k): raise ZeroDivisionError\n"
            "oddlens.registry.names = bug\nsys.argv = ['oddlens', 'list']\noddlens.cli.main()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(("error", "says"), [
    ("MemoryError()", "there is not enough memory for this. Free some, or ask for less: --fast"),
    ("RuntimeError('DefaultCPUAllocator: can\\'t allocate memory: 9')", "there is not enough memory for this. Free"),
    ("RuntimeError('CUDA out of memory. Tried to allocate 2.00 GiB.')", "there is not enough memory on the GPU for "
                                                                        "this. --device cpu does without it."),
    ("RuntimeError('HIP out of memory. Tried to allocate 2.00 GiB.')", "there is not enough memory on the GPU"),
])
def test_too_little_memory_is_one_sentence_that_says_what_to_do(tmp_path, error, says):
    code = ("import sys, oddlens.cli, oddlens.registry\n"
            f"def greedy(*a, **k): raise {error}\n"
            "oddlens.registry.names = greedy\nsys.argv = ['oddlens', 'list']\noddlens.cli.main()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"oddlens: {says}")
    assert "Traceback" not in done.stderr


def test_settings_reach_the_option_they_name(oddlens, folder, tmp_path):
    _, out, _ = oddlens("rank", folder, "--out", tmp_path / "run", "--detector", "neighbors", "--detector", "forest",
                        "--json", *QUICK, "--set", "neighbors.k=3", "--set", "resize=pad", "--set", "latent=7",
                        "--seed", 5)
    parameters = json.loads(out)["parameters"]
    assert parameters["Detector neighbors"]["k"] == 3
    assert parameters["Encoder autoencoder"]["latent"] == 7
    assert parameters["Encoder autoencoder"]["random_state"] == 5
    assert parameters["Detector forest"]["random_state"] == 5
    assert parameters["Model"]["resize"] == "pad"


def test_list_shows_every_option_with_its_default(oddlens):
    from oddlens import registry

    _, text, _ = oddlens("list")
    table = json.loads(oddlens("list", "--json")[1])
    for kind in ("encoder", "detector"):
        for name in registry.names(kind):
            assert table[f"{kind}s"][name] == json.loads(json.dumps(registry.options(kind, name)))
            assert f"  {name}" in text
            for option, default in registry.options(kind, name).items():
                assert f"{option}={default!r}" in text


def test_names_cannot_drive_the_terminal():
    assert printable("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"
    assert printable("Füße 猫.png") == "Füße 猫.png"


def test_python_dash_m_is_silent_when_not_a_terminal_and_hash_seed_and_jobs_do_not_matter(oddlens, folder, tmp_path):
    arguments = ["rank", str(folder), "--detector", "neighbors,forest,reconstruction", *QUICK]
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-m", "oddlens", *arguments, "--out", str(tmp_path / "process"), "--jobs", "1"],
        capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert done.returncode == 0
    assert done.stderr == ""
    assert oddlens(*arguments, "--out", tmp_path / "here", "--jobs", 2)[0] == 0
    process, here = ((tmp_path / run / "scores.csv").read_bytes() for run in ("process", "here"))
    assert process == here
