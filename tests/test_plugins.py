"""Encoders, detectors and sources of other packages: what the documents show works, and what cannot work is said."""

import json
import shlex
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from oddlens import AnomalyModel, load_model, registry, save_model
from oddlens.cli import cli
from oddlens.errors import OptionError, SavedModelError, SourceError
from oddlens.run import rank_into, score_with
from oddlens.settings import build_model
from oddlens.sources import open_source
from plugins import blocks, install, install_example

pytestmark = pytest.mark.usefixtures("hurried")

PAGES = ["write-a-detector.md", "write-an-encoder.md", "write-a-source.md"]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """What the pages speak of: photos, new photos and two animations."""
    rng = np.random.default_rng(0)
    for folder in ("photos", "new-photos"):
        (tmp_path / folder).mkdir()
        for number in range(24):
            Image.fromarray(rng.integers(0, 200, (12, 16), dtype=np.uint8)).save(tmp_path / folder / f"{number:02}.png")
    for name in ("clip", "other"):
        frames = [Image.fromarray(rng.integers(0, 200, (12, 16), dtype=np.uint8)) for _ in range(24)]
        frames[0].save(tmp_path / f"{name}.gif", save_all=True, append_images=frames[1:])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_holds_to_the_contract_and_runs(page, workplace, monkeypatch):
    module = install_example(monkeypatch, workplace / "site", page)
    # Else setuptools takes a folder of photos beside the module for the package, and the module stays out.
    assert tomllib.loads(blocks(page, "toml")[0])["tool"]["setuptools"] == {"py-modules": [module]}
    exec(compile(blocks(page, "python")[1], page, "exec"), {})
    for line in blocks(page, "sh")[0].splitlines():
        fast = ["--fast"] if line.endswith("frames:clip.gif") else []
        done = CliRunner().invoke(cli, [*shlex.split(line)[1:], *fast, "--json"], catch_exceptions=False)
        summary = json.loads(done.output)
        assert summary["read"] == 24
    assert (workplace / "oddlens-run" / "report.html").is_file()


def test_the_report_says_what_a_detector_of_others_looks_for(workplace, monkeypatch):
    install_example(monkeypatch, workplace / "site", "write-a-detector.md")
    model = build_model("pixels", ["far_from_the_mean", "neighbors"], {"power": 3.0})
    result = rank_into("photos", "run", model)
    assert result.summary["parameters"]["Detector far_from_the_mean"] == {"power": 3.0}
    assert "images whose features lie far from the average image" in (workplace / "run" / "report.html").read_text()
    again = score_with("run", "photos")
    assert again.model.detectors_["far_from_the_mean"].power == 3.0


def test_what_others_give_is_listed(tmp_path, monkeypatch):
    before = CliRunner().invoke(cli, ["list"], catch_exceptions=False).output
    assert "sources" not in before
    for number, page in enumerate(PAGES):
        install_example(monkeypatch, tmp_path / f"site{number}", page)
    listed = CliRunner().invoke(cli, ["list"], catch_exceptions=False).output
    assert "  far_from_the_mean" in listed
    assert "      power=2.0" in listed
    assert "sources\n  frames" in listed
    table = json.loads(CliRunner().invoke(cli, ["list", "--json"], catch_exceptions=False).output)
    assert table["encoders"]["tones"] == {"tones": 8}


def test_a_loaded_model_equals_the_saved_one(dots, tmp_path, monkeypatch):
    install_example(monkeypatch, tmp_path / "site", "write-a-detector.md")
    install_example(monkeypatch, tmp_path / "site", "write-an-encoder.md")
    model = AnomalyModel(views=["tones+far_from_the_mean", "tones+neighbors"]).fit(dots)
    assert list(model.encoders_) == ["tones"], "learned once, though it does not tell its options by get_params"
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert np.array_equal(loaded.rank().scores, model.rank().scores)
    assert np.array_equal(loaded.rank(dots[:9]).scores, model.rank(dots[:9]).scores)
    assert loaded.views == model.views
    content = json.loads((tmp_path / "model" / "model.json").read_text())
    assert content["encoders"][0]["package"] == ["tones-for-oddlens", "1.0"]
    assert content["detectors"][1]["package"] is None


def test_a_model_whose_package_is_missing_says_which(dots, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        install_example(patch, tmp_path / "site", "write-a-detector.md")
        save_model(AnomalyModel("pixels", "far_from_the_mean").fit(dots), tmp_path / "model")
    with pytest.raises(SavedModelError, match=r"'far_from_the_mean' .* the package far-from-the-mean 1\.0"):
        load_model(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    content = json.loads(path.read_text())
    content["detectors"][0]["package"] = ["x\n\x1b[2J; pip install evil", "1"]
    path.write_text(json.dumps(content))
    with pytest.raises(SavedModelError, match="a package called 'x"):
        load_model(tmp_path / "model")


def test_an_object_of_a_class_without_options_is_copied_not_fitted(dots, tmp_path, monkeypatch):
    install_example(monkeypatch, tmp_path / "site", "write-a-detector.md")
    mine = registry.create("detector", "far_from_the_mean")
    AnomalyModel("pixels", mine).fit(dots)
    assert not hasattr(mine, "own_")


def test_what_cannot_be_saved_is_said_before_anything_is_read(dots, tmp_path, instant):
    class Unread:
        def __len__(self):
            return len(dots)

        def name(self, index):
            return str(index)

        def read(self, index):
            raise AssertionError("it was read")

    model = AnomalyModel(instant, "neighbors")
    with pytest.raises(OptionError, match=r"InstantEncoder cannot be saved: .*--no-model"):
        rank_into(Unread(), tmp_path / "run", model)
    assert not (tmp_path / "run").exists()


def test_a_run_can_keep_no_model(dots, tmp_path, instant):
    rank_into(dots, tmp_path / "run", AnomalyModel("pixels", "neighbors"))
    result = rank_into(dots, tmp_path / "run", AnomalyModel(instant, "neighbors"), save_model=False,
                       overwrite=True)
    assert "model" not in result.summary["files"]
    assert not (tmp_path / "run" / "model").exists(), "the model of the run before"
    assert not (tmp_path / "run" / "reasons.safetensors").exists()
    with pytest.raises(SavedModelError, match="a run without a model"):
        score_with(tmp_path / "run", dots)


def test_the_command_line_can_keep_no_model(workplace):
    line = "rank photos --encoder pixels --detector neighbors --no-model --json"
    done = CliRunner().invoke(cli, line.split(), catch_exceptions=False)
    assert "model" not in json.loads(done.output)["files"]
    assert not (workplace / "oddlens-run" / "model").exists()


def test_an_option_that_is_not_told_is_named(dots, tmp_path, monkeypatch):
    code = blocks("write-a-detector.md", "python")[0].replace("self.power", "self.exponent")
    install(monkeypatch, tmp_path / "site", "silent", code, "detectors", "silent", "silent:FarFromTheMean")
    model = AnomalyModel("pixels", "silent")
    with pytest.raises(OptionError, match="does not tell its option power"):
        rank_into(dots, tmp_path / "run", model)
    assert rank_into(dots, tmp_path / "run", model, save_model=False).summary["finished"]


def test_an_option_that_json_cannot_hold_is_named(dots, tmp_path, monkeypatch):
    install_example(monkeypatch, tmp_path / "site", "write-a-detector.md")
    mine = registry.create("detector", "far_from_the_mean", power=1 + 0j)
    with pytest.raises(OptionError, match=r"option power of detector far_from_the_mean cannot be saved"):
        rank_into(dots, tmp_path / "run", AnomalyModel("pixels", mine))


@pytest.mark.parametrize("kind", ["encoder", "detector"])
def test_a_name_of_a_built_in_is_refused(kind, tmp_path, monkeypatch):
    taken = {"encoder": "pixels", "detector": "neighbors"}[kind]
    install(monkeypatch, tmp_path / "site", "thief", "class Thief: pass", f"{kind}s", taken, "thief:Thief",
            "thief-pack")
    for ask in (lambda: registry.find(kind, taken), lambda: registry.names(kind),
                lambda: AnomalyModel("pixels", "neighbors").build()):
        with pytest.raises(OptionError, match=rf"{kind} named '{taken}' is given by the package thief-pack 1\.0"):
            ask()


def test_two_packages_cannot_give_the_same_name(tmp_path, monkeypatch):
    for number in "12":
        install(monkeypatch, tmp_path / f"site{number}", f"pack{number}", "class Mine: pass", "detectors", "mine",
                f"pack{number}:Mine", f"pack-{number}")
    with pytest.raises(OptionError, match=r"pack-\d 1\.0 and by the package pack-\d"):
        registry.names("detector")


@pytest.mark.parametrize(("code", "message"), [
    ("import no_such_module", "cannot be loaded from mine:Mine: ModuleNotFoundError"),
    ("def Mine(): pass", "not a class"),
    ("Other = 1", "AttributeError"),
])
def test_a_broken_package_is_named(code, message, tmp_path, monkeypatch):
    install(monkeypatch, tmp_path / "site", "mine", code, "detectors", "mine", "mine:Mine", "mine-pack")
    with pytest.raises(OptionError, match=rf"(?s)mine-pack 1\.0.*{message}"):
        registry.find("detector", "mine")


def test_a_class_may_be_named_by_another_module_than_its_own(tmp_path, monkeypatch):
    install(monkeypatch, tmp_path / "site", "inner_mine", "class Mine: pass", "detectors", "unused", "inner_mine:No")
    code = "class Mine: pass\nMine.__module__ = 'mine.inner'\n"
    install(monkeypatch, tmp_path / "other", "mine", code, "detectors", "mine", "mine:Mine", "mine-pack")
    assert registry.name_of("detector", registry.create("detector", "mine")) == "mine"


@pytest.mark.parametrize(("change", "message"), [
    ("encoded.embedding)[:-1]", r"scores of 12. images and gave .11.,"),
    ("encoded.embedding)[:, None]", r"gave .12., 1."),
    ("encoded.embedding) * np.nan", "120 that are nan or beyond"),
])
def test_scores_that_are_none_are_refused(change, message, dots, tmp_path, monkeypatch):
    code = blocks("write-a-detector.md", "python")[0].replace("self.own_ = self._distance(encoded.embedding)",
                                                            f"self.own_ = self._distance({change}")
    install(monkeypatch, tmp_path / "site", "wrong", code, "detectors", "wrong", "wrong:FarFromTheMean")
    with pytest.raises(OptionError, match=message):
        AnomalyModel("pixels", "wrong").fit(dots)


def test_an_encoder_that_gives_less_than_it_says_is_refused(dots, tmp_path, monkeypatch):
    page = blocks("write-an-encoder.md", "python")[0]
    for change, got in (("Encoded()", "gave none"),
                        ("Encoded(embedding=embedding[1:])", r"gave an array of \(119, 8\)")):
        code = page.replace("Encoded(embedding=embedding)", change)
        with monkeypatch.context() as patch:
            folder = tmp_path / str(len(change))
            install(patch, folder, "less", code, "encoders", "less", "less:Tones")
            with pytest.raises(OptionError, match=got):
                AnomalyModel("less", "neighbors").fit(dots)


def test_a_source_that_there_is_not_is_named(tmp_path, monkeypatch):
    with pytest.raises(OptionError, match="no source named 'vedeo'"):
        open_source("vedeo:clip.avi")
    install(monkeypatch, tmp_path / "site", "bad", "class Bad:\n    def __init__(self, text): pass", "sources", "bad",
            "bad:Bad")
    with pytest.raises(SourceError, match="made a Bad of 'x'"):
        open_source("bad:x")
    monkeypatch.chdir(tmp_path)
    np.save("bad:x.npy", np.zeros((10, 4, 4), np.uint8))
    assert len(open_source("bad:x.npy")) == 10, "a file of that name comes first"
