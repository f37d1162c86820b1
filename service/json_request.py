"""A request of the administrative side, whose body is decoded or refused in clear words.

It refuses to know what the body should say.
"""

from typing import Any

from litestar import Request

from registry.errors import Invalid


class JsonRequest(Request[Any, Any, Any]):
    """Litestar's request; JSON that is not UTF-8 is the client's fault, not the server's."""

    async def json(self) -> Any:  # noqa: ANN401 - JSON is Any
        """Return the decoded body.

        Raises:
            Invalid: It is not UTF-8.
        """
        try:
            return await super().json()
        except UnicodeDecodeError as exc:
            message = f"The body is not valid UTF-8 ({exc}). Send JSON in UTF-8."
            raise Invalid(message, None, "invalid_request") from exc
