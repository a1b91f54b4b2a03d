import re

from oddlens.service.metrics import Metrics

LINE = re.compile(r'([a-z_]+)(\{[a-z]+="[^"\\\n]*"(?:,[a-z]+="[^"\\\n]*")*\})? (\S+)')


def values(text):
    """Name and labels -> value, of a text in the format of Prometheus; it fails on a line that is none."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))", line)
            continue
        name, labels, value = LINE.fullmatch(line).groups()
        assert (name, labels) not in found
        found[name, labels] = float(value)
    assert text.endswith("\n")
    return found


def test_what_was_counted_is_said():
    metrics = Metrics()
    metrics.answered("/score", 200, 0.1)
    metrics.answered("/score", 200, 0.7)
    metrics.answered("/score", 413, 99.0)
    metrics.judged("flagged")
    told = values(metrics.text(3, 16))
    assert told["oddlens_requests_total", '{path="/score",status="200"}'] == 2
    assert told["oddlens_requests_total", '{path="/score",status="413"}'] == 1
    assert told["oddlens_images_total", '{result="flagged"}'] == 1
    assert told["oddlens_images_total", '{result="ordinary"}'] == 0
    assert told["oddlens_request_seconds_count", None] == 3
    assert abs(told["oddlens_request_seconds_sum", None] - 99.8) < 1e-6
    assert told["oddlens_queue_requests", None] == 3
    assert told["oddlens_queue_limit", None] == 16


def test_the_buckets_hold_all_up_to_their_bound():
    metrics = Metrics()
    for seconds in (0.05, 0.06, 2.5, 61):
        metrics.answered("/score", 200, seconds)
    told = values(metrics.text(0, 1))
    counts = {bound: told["oddlens_request_seconds_bucket", f'{{le="{bound}"}}']
              for bound in ("0.05", "0.1", "1.0", "2.5", "60.0", "+Inf")}
    assert counts == {"0.05": 1, "0.1": 2, "1.0": 2, "2.5": 3, "60.0": 3, "+Inf": 4}
