"""What the fake vLLM wants of a body before it answers: JSON, and fields of the right type.

It refuses to know what the fields mean.
"""

from typing import Any

from aiohttp import web

Json = dict[str, Any]
_TYPES: dict[str, tuple[type, ...]] = {
    "messages": (list,),
    "prompt": (str, list),
    "input": (str, list),
    "tokens": (list,),
    "max_tokens": (int, type(None)),
}


async def read_body(request: web.Request, *required: str) -> Json | web.Response:
    """Return a request's body, or vLLM's refusal of it."""
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        return web.json_response({"detail": "There was an error parsing the body"}, status=400)
    for name in required:
        if name not in body:
            return _refusal(f"1 validation error: body.{name} Field required", f"body.{name}")
    for name, kinds in _TYPES.items():
        if name in body and not isinstance(body[name], kinds):
            message = f"1 validation error: body.{name} Input should be of another type"
            return _refusal(message, f"body.{name}")
    found: Json = body
    return found


def _refusal(message: str, param: str | None = None) -> web.Response:
    error = {"message": message, "type": "Bad Request", "param": param, "code": 400}
    return web.json_response({"error": error}, status=400)
