"""A digest changes with what it stands for, and with nothing else."""

import numpy as np
import pytest

from oddlens.evaluation.fingerprints import code_digest, images_digest, meaning


def test_images_are_told_by_shape_and_content():
    one = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert images_digest(one) == images_digest(one.copy(order="F"))
    others = [(one.reshape(4, 3),), (one + 1,), (one, None), (None, one)]
    assert len({images_digest(one), *(images_digest(*arrays) for arrays in others)}) == 5
    assert len(images_digest(one)) == 16


@pytest.fixture
def package(tmp_path):
    for name, code in {
        "model.py": "from oddlens.scoring import rank\nfrom oddlens.views import chosen\ndef fit(): return 1\n",
        "scoring/rank.py": "def order(): return 2\n", "views.py": "K = 3\n", "report.py": "SIDE = 160\n",
        "encoders/hog.py": "class Hog: pass\n", "detectors/forest.py": "TREES = 100\n"}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
    code_digest.cache_clear()
    yield tmp_path
    code_digest.cache_clear()


@pytest.mark.parametrize(("name", "old", "new"), [
    ("scoring/rank.py", "2", "3"), ("views.py", "3", "4"), ("encoders/hog.py", "pass", "side = 2"),
    ("detectors/forest.py", "100", "200"), ("model.py", "1", "5")])
def test_code_that_can_change_a_score_changes_the_digest(package, name, old, new):
    before = code_digest(package)
    code_digest.cache_clear()
    (package / name).write_text((package / name).read_text().replace(old, new))
    assert code_digest(package) != before


def test_comments_docstrings_other_files_and_moves_change_nothing(package):
    before = code_digest(package)
    code_digest.cache_clear()
    (package / "report.py").write_text("SIDE = 320\n")
    (package / "views.py").write_text('"""Which views."""\n\nK = 3  # neighbours\n')
    (package / "scoring" / "order.py").write_text((package / "scoring" / "rank.py").read_text())
    (package / "scoring" / "rank.py").write_text("from oddlens.scoring.order import order\n")
    assert code_digest(package) == before


def test_meaning_leaves_docstrings_and_imports_out_at_any_depth():
    plain = "class A:\n    def f(self):\n        return 1\n"
    assert meaning("import os\n" + plain) == meaning(
        'class A:\n    "Doc."\n    def f(self):\n        "Doc."\n        import os\n        return 1\n')
    assert meaning(plain) != meaning(plain.replace("1", "2"))
