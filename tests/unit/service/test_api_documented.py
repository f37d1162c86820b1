"""`docs/api.md`, the published description and the application name the same endpoints."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from registry.settings import Settings
from service.asgi import create_app
from service.dialects.table import DIALECTS_BY_PATH
from service.streaming import StreamReader

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
_LINE = re.compile(r"^\| `([A-Z]+) ([^`?]+)` \|", re.MULTILINE)


@pytest.fixture
def described(settings: Settings) -> dict[str, Any]:
    """Return the description that the service publishes."""
    return create_app(settings).litestar.openapi_schema.to_schema()


def test_every_endpoint_is_documented_once(settings: Settings) -> None:
    """One line for each method and path, and none for what does not exist."""
    served = {
        (method, re.sub(r":(str|path|int)}", "}", route.path))
        for route in create_app(settings).litestar.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for method in route.methods - {"OPTIONS", "HEAD"}
    }
    documented = Counter(_LINE.findall(PAGE.read_text("utf-8")))
    assert set(documented) == served
    assert set(documented.values()) == {1}


def test_every_endpoint_is_described(described: dict[str, Any]) -> None:
    """The published description and `docs/api.md` name the same operations."""
    operations = {
        (method.upper(), path) for path, item in described["paths"].items() for method in item
    }
    assert operations == set(_LINE.findall(PAGE.read_text("utf-8")))


def test_what_is_answered_before_litestar_is_described(described: dict[str, Any]) -> None:
    """Each door to the engine, with its body and what a stream is."""
    for path, dialect in DIALECTS_BY_PATH.items():
        operation = described["paths"][path]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert {"model", *dialect.required} == set(schema["required"])
        streams = "text/event-stream" in operation["responses"]["200"]["content"]
        assert streams is (dialect.stream_reader is not StreamReader)


def test_errors_are_described_in_one_place(described: dict[str, Any]) -> None:
    """Every operation with a key refers to shared answers, and may at least refuse and be down."""
    for path, item in described["paths"].items():
        for operation in item.values():
            if "security" in operation:  # open to all
                continue
            errors = {
                status: answer
                for status, answer in operation["responses"].items()
                if status >= "400"
            }
            assert {"400", "401", "403", "503"} <= set(errors), path
            for status, answer in errors.items():
                name = answer["$ref"].rpartition("/")[2]
                assert name.endswith(status)
                assert name in described["components"]["responses"]
