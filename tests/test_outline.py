import subprocess
import sys

import pytest

import oddlens.outline as module
from oddlens import registry
from oddlens.outline import Outline, outline


@pytest.mark.parametrize(("role", "name"), [
    (role, name) for role in ("encoder", "detector") for name in registry.OURS[role]
])
def test_the_source_says_what_the_class_says(role, name, monkeypatch):
    monkeypatch.setattr(registry, "find", lambda *_: pytest.fail("imported"))
    told = outline(role, name)
    monkeypatch.undo()
    cls = registry.find(role, name)
    assert told.options == registry.options(role, name)
    assert list(told.options) == list(registry.options(role, name))
    assert told.says == cls.__doc__.strip().splitlines()[0]


def test_all_is_listed_without_importing_any():
    code = ("import sys; from oddlens.cli import cli\n"
            "try:\n    cli(['list'])\n"
            "except SystemExit:\n    print(sorted({'torch', 'numpy', 'sklearn'} & set(sys.modules)))")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "dictionary" in out
    assert out.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("source", [
    "class Other: pass", "class A:\n    def __init__(self, k=1 + len('a')): pass", "class (",
])
def test_where_the_source_does_not_say_it_the_class_is_asked(source, tmp_path, monkeypatch):
    (tmp_path / "given.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert module._read("given", "A") is None
    assert module._read("not_there_at_all", "A") is None


def test_options_of_every_kind_are_read(tmp_path, monkeypatch):
    (tmp_path / "given2.py").write_text(
        'class A:\n    """Does it.\n\n    More."""\n\n'
        '    def __init__(self, first, k: int = -1, *, name="a", other): pass\n\nclass B:\n    """No options."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    told = module._read("given2", "A")
    assert told.says == "Does it."
    assert told.options == {"first": None, "k": -1, "name": "a", "other": None}
    assert module._read("given2", "B") == Outline("No options.", {})
