"""`graftline up` as planned, without models: `python -m tests.fakes.engine_stack READY_FILE`.

It refuses to plan: names, ports and environment are the real plan's. Each vLLM is the fake one on
the port that its command names; trainer and evals only say that they live; the service is real.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from rich.console import Console

from registry.errors import GraftlineError
from registry.liveness import keep_beating
from registry.settings import Settings
from registry.store import open_store
from service.stack.display import Display
from service.stack.programs import Host, Program, programs_of
from service.stack.run import run
from tests.fakes.vllm import FakeVllm

THIS = "tests.fakes.engine_stack"


async def be_engine(port: int, settings: Settings) -> None:
    """Be a vLLM server, for ever."""
    await FakeVllm(base=settings.base_name, port=port).start()
    await asyncio.Event().wait()


async def be_alive(part: str, port: int, settings: Settings) -> None:
    """Say that a part lives, as its health checks want to hear it, for ever."""
    runner = web.ServerRunner(web.Server(all_well))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await keep_beating(await open_store(settings), part)


async def all_well(_request: web.BaseRequest) -> web.Response:
    """Answer 200 to everything."""
    return web.Response()


def fake(program: Program, settings: Settings) -> Program:
    """Return the program that stands in for one of the plan's."""
    if program.name == "service":
        return program
    port = {
        "trainer": str(settings.trainer_port),
        "evals": str(settings.evals_port),
    }.get(program.name) or program.command[program.command.index("--port") + 1]
    return replace(program, command=(sys.executable, "-m", THIS, program.name, port))


def main() -> None:
    """Run the stack of the environment's settings, or be the part that is named, on a port."""
    settings = Settings()
    match sys.argv[1:]:
        case ["trainer" | "evals" as part, port]:
            asyncio.run(be_alive(part, int(port), settings))
        case [_, port]:
            asyncio.run(be_engine(int(port), settings))
    host = Host(python=sys.executable, cpu_engine=True, cores=2)
    programs = [fake(program, settings) for program in programs_of(settings, host)]
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    display = Display(Console())
    try:
        run(settings, programs, display, python=sys.executable, ready_file=Path(sys.argv[1]))
    except GraftlineError as exc:
        sys.exit(str(exc))


if __name__ == "__main__":
    main()
