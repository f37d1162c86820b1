"""The frame of every page: one file that needs nothing but itself, runs nothing, fetches nothing.

It refuses to know a page's content; whatever a page shows is escaped by the templates.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).parent
_NO_FILTERS: Mapping[str, Callable[..., Any]] = {}


def templates(folder: Path, filters: Mapping[str, Callable[..., Any]] = _NO_FILTERS) -> Environment:
    """Return the templates of a folder, which may extend `frame.html.j2` and draw pictures.

    The page's own policy allows the frame's style sheet, by its hash, and nothing else.
    """
    found = Environment(
        loader=FileSystemLoader([folder, _FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= filters
    style = _style()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    found.globals |= {
        "style": Markup(style),  # noqa: S704 - our own file
        "policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
    }
    return found


@cache
def _style() -> str:
    return (_FOLDER / "style.css").read_text("utf-8")
