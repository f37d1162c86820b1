"""`/v1/usage`: requests and tokens by key, model and day. Only for the scope `admin`.

It refuses to count: the interaction log writes what is summed here.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from litestar import Router, get
from litestar.params import QueryParameter

from registry.errors import Invalid
from registry.records import ApiKey, Scope
from registry.store.usage import UsageGroup, UsageQuery
from service.auth import needs
from service.context import Caller, Parts
from service.key_request import is_operator
from service.wire.lists import ListOf
from service.wire.usage import UsageObject, usage_object

MAX_DAYS = 366
"""Longest range of one query."""
MAX_ROWS = 10_000
"""Most rows of one answer; a query with more is refused, never cut."""
_DEFAULT_DAYS = 30
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Start = Annotated[
    str | None, QueryParameter(description="First day, YYYY-MM-DD in UTC; 30 days by default.")
]
End = Annotated[
    str | None, QueryParameter(description="Last day, included; today in UTC by default.")
]
GroupBy = Annotated[
    str | None, QueryParameter(description="Some of key, model, day, with commas between.")
]
KeyId = Annotated[str | None, QueryParameter(description="Only this key.")]
Model = Annotated[str | None, QueryParameter(description="Only this version.")]
ProjectName = Annotated[
    str | None, QueryParameter(description="Only this project; others than one's own by operators.")
]


@get("/")
async def get_usage(
    services: Parts,
    caller: Caller,
    start: Start = None,
    end: End = None,
    group_by: GroupBy = None,
    key_id: KeyId = None,
    model: Model = None,
    project: ProjectName = None,
) -> ListOf[UsageObject]:
    """Return sums of usage: of the project, or of every project for an operator.

    This process's own requests are included up to the moment of the query.
    """
    last = _day("end", end) or datetime.now(UTC).date()
    first = _day("start", start) or last - timedelta(days=min(_DEFAULT_DAYS, last.toordinal()) - 1)
    _check_range(first, last)
    query = UsageQuery(
        start=first.isoformat(),
        end=last.isoformat(),
        project=_project(caller, project),
        key_id=key_id,
        model=model,
        group_by=_groups(group_by),
    )
    await services.interaction_log.flush()
    sums = await services.store.usage.sums(query, limit=MAX_ROWS + 1)
    if len(sums) > MAX_ROWS:
        message = f"More than {MAX_ROWS} rows: shorten the range, or group by less."
        raise Invalid(message, "group_by")
    return ListOf(data=[usage_object(one) for one in sums])


def _day(name: str, value: str | None) -> date | None:
    if value is None:
        return None
    message = f"'{name}' must be a day such as 2026-11-30."
    if not _DAY.fullmatch(value):
        raise Invalid(message, name)
    try:
        return date.fromisoformat(value)
    except ValueError as exc:
        raise Invalid(message, name) from exc


def _check_range(first: date, last: date) -> None:
    if first > last:
        raise Invalid("'start' must not be after 'end'.", "start")
    if (last - first).days >= MAX_DAYS:
        message = f"The range has more than {MAX_DAYS} days: ask for it in parts."
        raise Invalid(message, "start")


def _groups(names: str | None) -> tuple[UsageGroup, ...]:
    given = {name.strip() for name in (names or "").split(",")} - {""}
    if given - set(UsageGroup):
        message = "'group_by' takes key, model and day, with commas between them."
        raise Invalid(message, "group_by")
    return tuple(group for group in UsageGroup if group in given)


def _project(caller: ApiKey, wanted: str | None) -> str | None:
    if is_operator(caller):
        return wanted
    if wanted is not None and wanted != caller.project:
        message = "Only an admin key of the project 'default' sees other projects' usage."
        raise Invalid(message, "project")
    return caller.project


router = Router(
    "/v1/usage", route_handlers=[get_usage], guards=[needs(Scope.ADMIN)], tags=["Usage"]
)
