"""When two JSON texts mean the same.

It refuses to know metrics.
"""

import json
from typing import Any

import msgspec


def parse_json(text: str) -> Any:  # noqa: ANN401 - JSON is any value
    """Return the value of a JSON text; 2.0 and 2 are one number, NaN and Infinity are none.

    Raises:
        ValueError: The text is not JSON.
    """
    try:
        return json.loads(text, parse_float=_number, parse_constant=_refuse)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def is_json(text: str) -> bool:
    """Return whether a text is JSON of any kind."""
    try:
        parse_json(text)
    except ValueError:
        return False
    return True


def is_structure(text: str) -> bool:
    """Return whether a text is a JSON object or array; a bare word or number is plain text."""
    return text.lstrip()[:1] in {"{", "["} and is_json(text)


def canonical(text: str) -> str:
    """Return a form that is equal for texts that mean the same.

    For a JSON object or array: keys sorted, white space gone. For all else: the stripped text.
    """
    if not is_structure(text):
        return text.strip()
    return msgspec.json.encode(parse_json(text), order="sorted").decode()


def _number(digits: str) -> float | int:
    value = float(digits)
    return int(value) if value.is_integer() else value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")
