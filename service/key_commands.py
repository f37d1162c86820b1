"""The commands `graftline keys …`: what an operator types, made into requests as the API has them.

It refuses to know what a key must satisfy, and imports the store only when a command runs.
"""

import asyncio
import re
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer
from msgspec import UNSET, UnsetType
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from registry.errors import GraftlineError
from registry.records import ApiKey, Scope
from service.terminal import DataDir, fail, read_settings
from service.wire.keys import CreateKey, UpdateKey

app = typer.Typer(
    help="Make, list, change, rotate and revoke API keys.",
    no_args_is_help=True,
)

_NONE = "none"
_WIDE = 200  # columns of a list that is read by a program: nothing is cut
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_T = TypeVar("_T")

Identifier = Annotated[str, typer.Argument(help="The key's id; 'graftline keys list' shows it.")]
ExpiresIn = Annotated[
    str | None,
    typer.Option(help="Time until it ends, such as 90d, 12h, 30m or 45s."),
]
ExpiresAt = Annotated[
    datetime | None, typer.Option(help="When it ends, in UTC, instead of --expires-in.")
]


@app.command(name="create")
def create_key(
    *,
    project: Annotated[str, typer.Option(help="Project the key acts in.")] = "default",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; repeat it for several scopes.")
    ] = None,
    name: Annotated[str, typer.Option(help="What you call it.")] = "command line",
    expires_in: ExpiresIn = None,
    expires_at: ExpiresAt = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(help="Inference requests it may send in a minute.")
    ] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option(help="Tokens, of prompts and answers, it may use in a minute.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and print its secret, once."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    request = CreateKey(
        name=name,
        scopes=scope or [Scope.INFERENCE],
        project=project,
        expires_at=_unix(expires_at),
        expires_in_seconds=_duration("--expires-in", expires_in),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
    )
    made = _done(keyring.create(read_settings(data_dir=data_dir), request))
    typer.echo(made.secret)
    typer.echo(f"{_told(made.key)}. It is shown once.", err=True)


@app.command(name="list")
def list_keys(*, data_dir: DataDir = None) -> None:
    """List the keys that were not revoked, with their ends and limits."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    found = _done(keyring.valid(read_settings(data_dir=data_dir)))
    table = Table("Id", "Project", "Scopes", "Name", "Ends (UTC)", "Requests/min", "Tokens/min")
    now = datetime.now(UTC).timestamp()
    for key in found:
        ends = "never" if key.expires_at is None else _date(key.expires_at)
        table.add_row(
            key.id,
            escape(key.project),
            ", ".join(key.scopes),
            escape(key.name),
            f"{ends} (over)" if key.is_expired(now) else ends,
            _limit(key.requests_per_minute),
            _limit(key.tokens_per_minute),
        )
    Console(width=None if Console().is_terminal else _WIDE).print(table)


@app.command(name="change")
def change_key(
    identifier: Identifier,
    *,
    name: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    expires_in: Annotated[
        str | None,
        typer.Option(help="Time from now until it ends, such as 90d; 'none' takes the end away."),
    ] = None,
    expires_at: ExpiresAt = None,
    requests_per_minute: Annotated[
        str | None, typer.Option(help="Requests a minute; 'none' takes the limit away.")
    ] = None,
    tokens_per_minute: Annotated[
        str | None, typer.Option(help="Tokens a minute; 'none' takes the limit away.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Change a key's name, end or limits; what is left out stays."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    end: int | UnsetType | None = UNSET if expires_at is None else _unix(expires_at)
    is_endless = expires_in == _NONE
    if is_endless and expires_at is not None:
        fail("Give '--expires-in' or '--expires-at', not both.")
    request = UpdateKey(
        name=UNSET if name is None else name,
        expires_at=None if is_endless else end,
        expires_in_seconds=None if is_endless else _duration("--expires-in", expires_in),
        requests_per_minute=_changed_limit("--requests-per-minute", requests_per_minute),
        tokens_per_minute=_changed_limit("--tokens-per-minute", tokens_per_minute),
    )
    if request == UpdateKey():
        fail("Nothing to change: give --name, --expires-in, --expires-at or a limit.")
    changed = _done(keyring.change(read_settings(data_dir=data_dir), identifier, request))
    typer.echo(f"{_told(changed)}. Running services know it within a second.")


@app.command(name="rotate")
def rotate_key(
    identifier: Identifier,
    *,
    grace: Annotated[
        str, typer.Option(help="Time the old key works on, such as 1d; 0s ends it at once.")
    ] = "1d",
    data_dir: DataDir = None,
) -> None:
    """Make a key's successor and print its secret, once; the old key ends after the grace."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    seconds = _duration("--grace", grace) or 0
    made = _done(keyring.rotate(read_settings(data_dir=data_dir), identifier, seconds))
    typer.echo(made.secret)
    typer.echo(
        f"{_told(made.key)}. It is shown once. {identifier} ends in {grace} at the latest.",
        err=True,
    )


@app.command(name="revoke")
def revoke_key(identifier: Identifier, *, data_dir: DataDir = None) -> None:
    """Revoke a key; running services refuse it within a second."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    _done(keyring.revoke(read_settings(data_dir=data_dir), identifier))
    typer.echo(f"{identifier} is revoked.")


def _done(work: Coroutine[Any, Any, _T]) -> _T:
    try:
        return asyncio.run(work)
    except GraftlineError as exc:
        fail(str(exc))


def _duration(option: str, text: str | None) -> int | None:
    """Return a duration in seconds, or say how to write one."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,12})([smhd])", text, re.ASCII)
    if found is None:
        fail(f"{option}: '{text}' is no time. Write a number and s, m, h or d, such as 90d.")
    return int(found[1]) * _SECONDS[found[2]]


def _changed_limit(option: str, text: str | None) -> int | UnsetType | None:
    if text is None:
        return UNSET
    if text == _NONE:
        return None
    if re.fullmatch(r"\d{1,18}", text, re.ASCII) is None:
        fail(f"{option}: '{text}' is no limit. Write a number, or 'none' to take it away.")
    return int(text)


def _unix(moment: datetime | None) -> int | None:
    """Return a moment of the command line, which is in UTC, as a Unix time in seconds."""
    return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp())


def _date(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _limit(limit: int | None) -> str:
    return "no limit" if limit is None else f"{limit:,}"


def _told(key: ApiKey) -> str:
    """Return what a key may do, in one sentence without its full stop."""
    parts = [f"{key.id}: {', '.join(key.scopes)} in project '{key.project}'"]
    if key.expires_at is not None:
        parts.append(f"ends {_date(key.expires_at)} UTC")
    if key.requests_per_minute is not None:
        parts.append(f"{_limit(key.requests_per_minute)} requests a minute")
    if key.tokens_per_minute is not None:
        parts.append(f"{_limit(key.tokens_per_minute)} tokens a minute")
    return "; ".join(parts)
