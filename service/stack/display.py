"""What the operator of the local stack sees.

It refuses to decide anything; it is given what happened.
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from registry.settings import Settings
from service.stack.parts import Part, Standing, describe

_COLOURS = {
    Standing.WAITING: "dim",
    Standing.STARTING: "yellow",
    Standing.READY: "green",
    Standing.RESTARTING: "red",
}


class Display:
    """A live table while the stack starts, on a terminal; plain lines otherwise and afterwards."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.settle()

    def show(self, parts: Sequence[Part]) -> None:
        """Redraw the table, if there is one."""
        if self._live is not None:
            self._live.update(table_of(parts, time.time()), refresh=True)

    def tell(self, sentences: Sequence[str]) -> None:
        """Print what happened, with the time; the table says it by itself while it is there."""
        if self._live is None:
            for sentence in sentences:
                self.say(f"{time.strftime('%H:%M:%S')} {sentence}")

    def say(self, text: str) -> None:
        """Print text as it is: no markup, no line breaks of our own."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def settle(self) -> None:
        """Leave the table as it is; from now on there are only lines."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def table_of(parts: Sequence[Part], now: float) -> Table:
    """Return one line for each part: name, state, process, and uptime or what it waits for."""
    table = Table.grid(padding=(0, 2))
    for part in parts:
        colour = _COLOURS[part.standing]
        pid = "" if part.pid is None else f"pid {part.pid}"
        state = f"[{colour}]{part.standing}[/{colour}]"
        table.add_row(part.name, state, pid, describe(part, now))
    return table


def welcome(settings: Settings, key: str | None) -> str:
    """Return what is printed once the stack is ready: address, key, and how to use them."""
    url, base, key_file = settings.service_url, settings.base_name, settings.admin_key_file
    shown = (
        f"{key}\n              also in {key_file}"
        if key
        else "made elsewhere on this database; 'graftline keys create' makes another"
    )
    return f"""
Graftline is ready.
  address     {url}    (API: {url}/schema)
  base model  {base}
  admin key   {shown}
  logs        {settings.data_dir.absolute()}/logs

Python:
  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="{key or "…"}")
  messages = [{{"role": "user", "content": "Hello"}}]
  print(client.chat.completions.create(model="{base}", messages=messages))

Shell:
  curl {url}/v1/chat/completions \\
    -H "Authorization: Bearer $(cat {key_file})" -H "Content-Type: application/json" \\
    -d '{{"model": "{base}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

Ctrl-C stops everything."""
