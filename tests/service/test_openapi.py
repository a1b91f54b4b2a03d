"""The document is true: schemathesis sends what it allows and what it does not, and compares the answers with it."""

import warnings
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from oddlens.service.application import Service
from oddlens.service.openapi import document

schemathesis = pytest.importorskip("schemathesis", reason="pip install --group service")

TOKEN = "the-token-of-this-service"
EXAMPLES = 12  # of each operation and kind


@pytest.fixture(scope="module")
def schema(scorer, photos):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from schemathesis.openapi import from_asgi, media_type

        pictures = st.sampled_from(sorted(photos.values())) | st.binary(max_size=60)
        for kind in ("image/*", "application/octet-stream", "application/dicom"):
            media_type(kind, pictures)
        service = Service(scorer, most_bytes=200_000)
        yield from_asgi("/openapi.json", service.application(TOKEN), headers={"Authorization": f"Bearer {TOKEN}"})
        service.close()


@pytest.mark.filterwarnings("ignore")  # of its own libraries
@pytest.mark.parametrize("operation", ["POST /score", "POST /heat", "GET /health", "GET /metrics",
                                       "GET /openapi.json"])
def test_each_answer_is_as_the_document_says(schema, operation):
    from schemathesis import GenerationMode, checks
    from schemathesis.specs.openapi import checks as openapi

    wanted = [checks.not_a_server_error, openapi.status_code_conformance, openapi.content_type_conformance,
              openapi.response_headers_conformance, openapi.response_schema_conformance, openapi.unsupported_method]
    method, path = operation.split()
    asked = schema[path][method]
    statuses = set()
    for mode in GenerationMode:

        @seed(0)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, phases=(Phase.generate,),
                  suppress_health_check=list(HealthCheck))
        @given(case=asked.as_strategy(generation_mode=mode))
        def holds(case):
            answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
            statuses.add(answer.status_code)
            case.validate_response(answer, checks=wanted)

        with suppress(Unsatisfiable):  # of what takes nothing, nothing wrong can be sent
            holds()
    assert 200 in statuses
    if path in ("/score", "/heat"):
        assert statuses & {400, 415, 422}


def test_every_operation_is_in_the_document_and_no_other(scorer):
    told = document(views=scorer.views, heat=True, token=False, most_bytes=5)
    assert set(told["paths"]) == {"/score", "/heat", "/health", "/metrics", "/openapi.json"}
    assert "401" not in told["paths"]["/score"]["post"]["responses"]
    assert "/heat" not in document(views=[], heat=False, token=True, most_bytes=5)["paths"]
