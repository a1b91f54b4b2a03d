import json

import pytest

from oddlens.review import json_parts
from oddlens.review.json_parts import dumped

ROWS = [{"name": 'a"\n', "x": 1.5, "n": None}, {"name": "b", "deep": [1, {"k": [2]}], "empty": []}, {}, "text"]


@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_it_writes_what_json_writes(monkeypatch, batch):
    monkeypatch.setattr(json_parts, "BATCH", batch)
    for rows in (ROWS, ROWS[:1], []):
        assert b"".join(dumped(iter(rows))).decode() == json.dumps(rows, indent=1) + "\n"
        whole = {"info": {"a": 1}, "rows": rows, "after": [1, 2], "none": {}}
        assert b"".join(dumped({**whole, "rows": iter(rows)})).decode() == json.dumps(whole, indent=1) + "\n"
    assert b"".join(dumped({})) == b"{}\n"
