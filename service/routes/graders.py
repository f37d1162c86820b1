"""`/v1/fine_tuning/alpha/graders`: part of reinforcement fine-tuning, which is not there.

It refuses to grade, and says what to use instead.
"""

from typing import Any

from litestar import Router, post
from litestar.params import JSONBody

from registry.errors import Invalid
from registry.records import Scope
from service.auth import needs


@post(["/run", "/validate"], status_code=400)
async def use_grader(
    data: JSONBody[dict[str, Any]],  # noqa: ARG001 - read, so that a wrong body is told as such
) -> None:
    """Not supported: answers 400. Examine a model with an evaluation instead."""
    raise Invalid(
        "Graders belong to reinforcement fine-tuning, which Graftline does not have. Examine a "
        "model with POST /v1/evaluations.",
        "grader",
        "unsupported_operation",
    )


router = Router(
    "/v1/fine_tuning/alpha/graders",
    route_handlers=[use_grader],
    guards=[needs(Scope.TRAINING)],
    tags=["Fine-tuning"],
)
