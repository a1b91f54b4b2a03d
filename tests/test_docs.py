"""The documents say what the code does: nothing undocumented, nothing stale, and the README's commands run."""

import doctest
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import oddlens
from oddlens import errors, registry
from oddlens.cli import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
REFUSED = GLOSSARY.partition("<!-- refused -->")[2].partition("<!-- /refused -->")[0]
PACKAGE = Path(oddlens.__file__).parent


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if not name.endswith(("__main__", "__init__")):
            yield name


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_reference_and_the_tables_are_what_the_code_says(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")  # make_reference imports its neighbour there
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.REFERENCE.read_text() == module.reference(), "run: make docs"
    assert module.readme() == README, "run: make docs"
    assert module.architecture() == module.ARCHITECTURE.read_text(), "run: make docs"
    for kind in ("encoder", "detector"):
        table = README.partition(f"<!-- {kind}s -->")[2].partition(f"<!-- /{kind}s -->")[0]
        assert sorted(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == registry.names(kind)


def test_every_option_of_every_method_is_explained():
    for kind in ("encoder", "detector"):
        for name in registry.names(kind):
            text = registry.find(kind, name).__doc__
            for option in registry.options(kind, name):
                assert re.search(rf"^\s*{option}:", text, re.MULTILINE), f"{name}.{option} is not in its docstring"
    for option in oddlens.AnomalyModel().get_params(deep=False):
        assert re.search(rf"^\s*{option}:", oddlens.AnomalyModel.__doc__, re.MULTILINE), option


def test_every_command_and_option_has_help():
    for name, command in cli.commands.items():
        assert command.help, name
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{name} {parameter.opts}"
            else:
                assert parameter.human_readable_name in command.help or name == "score", f"{name} {parameter.name}"


def test_every_error_is_in_the_tree():
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and issubclass(thing, errors.OddlensError):
            assert name in errors.__doc__
            assert thing.__doc__


@pytest.mark.parametrize("name", list(modules()))
def test_examples_in_docstrings_are_true(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"np": np, "Encoded": oddlens.Encoded})
    assert failed == 0


def test_public_classes_have_an_example():
    for kind in ("encoder", "detector"):
        for name in registry.names(kind):
            assert ">>>" in registry.find(kind, name).__doc__, name
    for cls in (oddlens.AnomalyModel, oddlens.Ranking):
        assert ">>>" in cls.__doc__


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with what the README speaks of: photos/, more-photos/ and scans.npy."""
    from PIL import Image

    place = tmp_path_factory.mktemp("readme")
    rng = np.random.default_rng(0)
    for folder, count in (("photos", 40), ("new-photos", 5)):  # 40, or --check finds them too few
        (place / folder).mkdir()
        for i in range(count):
            picture = Image.fromarray(rng.integers(0, 256, (8, 12, 3), dtype=np.uint8))
            picture.save(place / folder / f"{i:02}.png")
    for label in ("cups", "plates"):
        (place / "sorted" / label).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(place / "sorted" / label / f"{i}.png")
    np.save(place / "scans.npy", rng.integers(0, 256, (30, 12, 12), dtype=np.uint8))
    return place


def test_the_readmes_commands_run_in_their_order(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("oddlens ")]
    assert len(commands) >= 4
    for line in commands:
        if line.split()[1] in ("demo", "review"):
            continue  # test_demo and review/test_browser run them
        done = CliRunner().invoke(cli, shlex.split(line, comments=True)[1:], catch_exceptions=False)
        assert done.exit_code == 0, f"{line}\n{done.output}"


@pytest.mark.parametrize("page", ["README.md", "docs/causes.md", "docs/decisions.md"])
def test_a_pages_python_runs(page, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    known = {}
    found = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert found
    for block in found:
        # README's stand each for itself; the pages' later ones go on with what the earlier made.
        exec(compile(block, page, "exec"), {} if page == "README.md" else known)


def refused_words():
    """The words of the glossary's last list."""
    return [word for row in REFUSED.splitlines()[3:] for word in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_words_that_the_glossary_refuses_do_not_come_back():
    words = refused_words()
    assert {"loud", "planted", "ways of looking", "turn_"} <= set(words)
    wanted = re.compile("|".join(rf"\b{word}\b" if word.isalpha() else rf"\b{word}" for word in words), re.IGNORECASE)
    sources = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".html", ".js", ".md")]
    found = [f"{path.name}: {match[0]}" for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *sources]
             for match in wanted.finditer(path.read_text().replace(REFUSED, ""))]
    assert not found, f"docs/glossary.md says what to write instead: {found}"


def test_every_term_of_the_glossary_has_one_entry():
    terms = re.findall(r"^\| \*\*([^*]+)\*\*", GLOSSARY, re.MULTILINE)
    assert len(terms) > 40
    assert sorted(set(terms)) == sorted(terms)


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs").rglob("*.png") if "_build" not in path.parts}
    assert len(sizes) > 3
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}, "few_colours in evaluation/plots.py"
