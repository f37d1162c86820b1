"""The commands `graftline policy` and `graftline evaluate`: the gate, from a terminal.

It refuses to examine, and imports the client only when a command asks the service.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from registry.errors import GraftlineError, Invalid, Unavailable
from registry.policy import Policy, policy_in_force, read_policy
from service.terminal import DataDir, ServiceKey, ServiceUrl, admin_key, fail, read_settings

_SECONDS = 60.0
_OK = 200

PolicyFile = Annotated[
    Path | None, typer.Argument(help="YAML file to check; by default GRAFTLINE_POLICY_FILE.")
]


def show_policy(file: PolicyFile = None) -> None:
    """Check a policy file and print the whole policy that it makes, as YAML."""
    try:
        found = policy_in_force(read_settings().policy_file) if file is None else read_policy(file)
    except GraftlineError as exc:
        fail(str(exc))
    typer.echo(as_yaml(found), nl=False)


def evaluate(
    model: Annotated[str, typer.Argument(help="Name of the adapter version.")],
    *,
    policy: Annotated[
        Path | None, typer.Option(help="YAML file with the fields that differ from the default.")
    ] = None,
    heldout_file: Annotated[
        str | None, typer.Option(help="Id of uploaded rows; by default those its job held out.")
    ] = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    data_dir: DataDir = None,
) -> None:
    """Ask for an adapter version to be examined; print the evaluation's id."""
    settings = read_settings(data_dir=data_dir)
    body: dict[str, Any] = {"model": model}
    try:
        if policy is not None:
            body["policy"] = msgspec.to_builtins(read_policy(policy))
        if heldout_file is not None:
            body["heldout_file"] = heldout_file
        answer = asyncio.run(_ask(url or settings.service_url, key or admin_key(settings), body))
    except GraftlineError as exc:
        fail(str(exc))
    typer.echo(answer)


def as_yaml(policy: Policy) -> str:
    """Return a policy as a file that `read_policy` reads."""
    return msgspec.yaml.encode(policy).decode()


class _Asked(msgspec.Struct):
    id: str


class _Problem(msgspec.Struct):
    message: str


class _ProblemBody(msgspec.Struct):
    error: _Problem


async def _ask(url: str, key: str, body: dict[str, Any]) -> str:
    """Send the request and return the evaluation's id.

    Raises:
        Unavailable: The service does not answer.
        Invalid: It refused, in its own words.
    """
    import aiohttp  # noqa: PLC0415 - the client takes a while to import

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
            session.post(
                f"{url.rstrip('/')}/v1/evaluations",
                json=body,
                headers={"Authorization": f"Bearer {key}"},
                allow_redirects=False,
            ) as response,
        ):
            status, content = response.status, await response.read()
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as exc:
        message = f"The service at {url} does not answer ({exc}). Start it, or name it: --url."
        raise Unavailable("service", message) from exc
    try:
        if status == _OK:
            return msgspec.json.decode(content, type=_Asked).id
        words = msgspec.json.decode(content, type=_ProblemBody).error.message
    except msgspec.MsgspecError:
        words = f"The address answered {status}, and not as a Graftline service does."
    raise Invalid(words)
