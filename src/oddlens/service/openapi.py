"""What the service answers, as OpenAPI 3.0 says it; ``tests/service/test_openapi.py`` holds it to that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import oddlens
from oddlens.service.bodies import LONGEST_NAME, MOST_IMAGES, RAW

BINARY = {"type": "string", "format": "binary"}
REFUSALS = {
    "400": "The body is empty or no sound form.",
    "408": "The body did not come in time.",
    "413": "The body is too long, or holds too many images.",
    "415": "The body is of a kind that is no image.",
    "422": "No image in it can be read; the reason.",
    "503": "Too many requests at once: come back after Retry-After seconds.",
    "504": "It was not done in time.",
}


def document(*, views: Sequence[str], heat: bool, token: bool, most_bytes: int) -> dict[str, Any]:
    """The document.

    views:       the columns of the views' own scores.
    heat:        whether heat maps are made.
    token:       whether a token is asked for.
    most_bytes:  of a body.
    """
    paths: dict[str, Any] = {
        "/score": {"post": {
            "operationId": "score", "summary": "How strange images are, each judged alone.",
            "description": f"One image file as the body, or up to {MOST_IMAGES} as a form; {most_bytes:,} bytes at "
                           "most. No image is kept.",
            "parameters": [_NAME],
            "requestBody": _body({"type": "array", "items": BINARY, "minItems": 1, "maxItems": MOST_IMAGES}),
            "responses": {"200": _json("What is said of each image, in their order.", _ref("Scored")), **_refusals()},
        }},
        "/health": {"get": {
            "operationId": "health", "summary": "Whether the service is up.", "security": [],
            "responses": {"200": _json("It is.", _ref("Health")), **_refusals("403", "414")},
        }},
        "/metrics": {"get": {
            "operationId": "metrics", "summary": "Counts in the text format of Prometheus.",
            "responses": {"200": {"description": "The counts.",
                                  "content": {"text/plain": {"schema": {"type": "string"}}}},
                          **_refusals("403", "414")},
        }},
        "/openapi.json": {"get": {
            "operationId": "openapi", "summary": "This document.",
            "responses": {"200": _json("The document.", {"type": "object"}), **_refusals("403", "414")},
        }},
    }
    if heat:
        paths["/heat"] = {"post": {
            "operationId": "heat", "summary": "The image with the strange places coloured.",
            "parameters": [_NAME], "requestBody": _body(BINARY),
            "responses": {"200": {"description": "The picture.", "content": {"image/png": {"schema": BINARY}}},
                          "204": {"description": "No place in it stands out."}, **_refusals()},
        }}
    made: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "oddlens", "version": oddlens.__version__,
                 "description": "How strange images are beside those that a model was fitted to."},
        "paths": paths,
        "components": {"schemas": _schemas(views)},
    }
    if token:
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"token": []}]
        for each in paths.values():
            for operation in each.values():
                if operation.get("security") != []:
                    operation["responses"]["401"] = _json("The token is missing or another.", _ref("Refusal"))
    return made


_NAME = {"name": "name", "in": "query", "required": False, "schema": {"type": "string", "maxLength": LONGEST_NAME},
         "description": "What the image is called in the answer, where it is the body itself."}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(says: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": says, "content": {"application/json": {"schema": schema}}}


def _body(images: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "object", "properties": {"image": images}, "required": ["image"]}
    return {"required": True, "content": {**{kind: {"schema": BINARY} for kind in ("image/*", *RAW)},
                                          "multipart/form-data": {"schema": form}}}


def _refusals(*statuses: str) -> dict[str, Any]:
    others = {"403": "A page of another site asks for it.", "414": "The address is too long.",
              "421": "It was asked for by a name that is not its own."}
    chosen = {status: others[status] for status in statuses} if statuses else {**REFUSALS, **others}
    made = {status: _json(says, _ref("Refusal")) for status, says in chosen.items()}
    if "503" in made:
        made["503"]["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "required": True}}
    return dict(sorted(made.items()))


def _schemas(views: Sequence[str]) -> dict[str, Any]:
    number, text = {"type": "number"}, {"type": "string"}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    image = {
        "name": text,
        "score": {**number, "description": "Larger is stranger."},
        "p_value": {**share, "description": "The share of ordinary images that would score as high."},
        "flagged": {"type": "boolean", "description": "Whether it is called odd, by the threshold fixed at fit."},
        "rank": {"type": "integer", "minimum": 1, "description": "Its place among the fitted images; 1: stranger than "
                                                                 "all."},
        "fitted": {"type": "integer", "minimum": 1, "description": "How many images the model was fitted to."},
        "probability": {**share, "nullable": True,
                        "description": "Of being odd, once a person has said of fitted images what they are."},
        "causes": {"type": "array", "items": text, "description": "Simple causes, by their short names."},
        "reasons": {"type": "array", "items": _ref("Reason"), "description": "The same in words."},
        "views": {"type": "object", "properties": dict.fromkeys(views, number), "required": list(views),
                  "additionalProperties": False, "description": "What each view says by itself; larger is stranger."},
    }
    return {
        "Image": _whole(image),
        "Reason": _whole({"text": text, "images": {"type": "array", "items": text,
                                                   "description": "Names of fitted images that show what is meant."}}),
        "Unreadable": _whole({"name": text, "error": {**text, "description": "Why it cannot be read."}}),
        "Scored": _whole({"images": {"type": "array", "minItems": 1,
                                     "items": {"oneOf": [_ref("Image"), _ref("Unreadable")]}}}),
        "Health": _whole({"status": {"type": "string", "enum": ["ok"]}, "version": text,
                          "fitted": {"type": "integer", "minimum": 1}}),
        "Refusal": _whole({"error": {**text, "description": "The reason, and what to do."}}),
    }


def _whole(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
