"""JSON schema: the answer has the shape that a program expects.

It refuses to fetch what a schema refers to elsewhere.
"""

from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from evals.scorers.jsontext import parse_json
from evals.scorers.rowwise import RowMetric


class JsonSchema(RowMetric):
    """1 where the answer is JSON and valid under the schema, else 0; the target may be the schema.

    Draft 2020-12. A reference leads only within the schema: an empty registry finds nothing else.
    """

    key = "json_schema"
    summary = "Share of answers that are valid under a JSON schema."

    @staticmethod
    def row(
        answer: str, target: str, *, schema: dict[str, Any] | str | None = None
    ) -> float | None:
        """Return 1 for valid, 0 for invalid; none when the schema itself cannot be used."""
        chosen = target if schema is None else schema
        rule = _read(chosen) if isinstance(chosen, str) else chosen
        if rule is None or fault_of(rule) is not None:
            return None
        try:
            value = parse_json(answer)
        except ValueError:
            return 0.0
        try:
            Draft202012Validator(rule, registry=Registry()).validate(value)
        except ValidationError:
            return 0.0
        except (Unresolvable, RecursionError):
            return None
        return 1.0


def fault_of(schema: dict[str, Any]) -> str | None:
    """Return why a schema cannot be used; none when it can."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as exc:
        return str(exc.message)
    return None


def _read(text: str) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
