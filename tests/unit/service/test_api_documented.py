"""`docs/api.md` and the application name the same endpoints."""

import re
from collections import Counter
from pathlib import Path

from litestar.routes import HTTPRoute

from registry.settings import Settings
from service.asgi import create_app

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
_LINE = re.compile(r"^\| `([A-Z]+) ([^`?]+)` \|", re.MULTILINE)


def test_every_endpoint_is_documented_once(settings: Settings) -> None:
    """One line for each method and path, and none for what does not exist."""
    served = {
        (method, re.sub(r":(str|path)}", "}", route.path))
        for route in create_app(settings).litestar.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
        for method in route.methods - {"OPTIONS", "HEAD"}
    }
    documented = Counter(_LINE.findall(PAGE.read_text("utf-8")))
    assert set(documented) == served
    assert set(documented.values()) == {1}
