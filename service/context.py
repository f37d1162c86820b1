"""What a route is given beside its own parameters: the service's parts, and who is calling.

It refuses to know what either is used for.
"""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter, SkipValidation

from registry.records import ApiKey
from registry.store.rows import MAX_PAGE
from service.auth import caller_of
from service.services import Services

Parts = NamedDependency[SkipValidation[Services]]
"""A route's parameter `services`."""
Caller = NamedDependency[SkipValidation[ApiKey]]
"""A route's parameter `caller`."""
Limit = Annotated[
    int, QueryParameter(ge=1, description=f"Most records on the page; never more than {MAX_PAGE}.")
]
"""A list's parameter `limit`."""
After = Annotated[str | None, QueryParameter(description="Id of the record before the page.")]
"""A list's parameter `after`."""


def _services(request: Request[Any, Any, Any]) -> Services:
    parts: Services = request.app.state.services
    return parts


def _caller(request: Request[Any, Any, Any]) -> ApiKey:
    return caller_of(request)


DEPENDENCIES = {
    "services": Provide(_services, sync_to_thread=False),
    "caller": Provide(_caller, sync_to_thread=False),
}
"""What the application provides to every route that asks for it by name."""
