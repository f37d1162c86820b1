"""The text of supervisor's configuration for a set of programs. Pure.

It refuses to know what the programs are for.
"""

import re
from collections.abc import Sequence

from service.stack.programs import Program

LOGS = "logs"
"""Folder of the log files, beside the configuration."""
_LOG_BYTES = "20MB"
_LOG_BACKUPS = 3
_RETRIES = 1_000_000
"""Supervisor never gives up: its pause grows by a second with each failure. Whether a program
that never worked is worth waiting for is decided in `service/stack/parts.py`."""
_SPECIAL = re.compile(r"[^A-Za-z0-9_@+=:,./-]")


def supervisor_text(programs: Sequence[Program], *, socket: str, tether: Sequence[str]) -> str:
    """Return the configuration file's text.

    Args:
        programs: What to run.
        socket: Path of the socket on which supervisor answers.
        tether: Words put before each command, which end the process when supervisor is killed.
    """
    sections = [
        _section(
            "supervisord",
            nodaemon="true",
            silent="true",
            pidfile="%(here)s/supervisord.pid",
            logfile=f"%(here)s/{LOGS}/supervisord.log",
            logfile_maxbytes=_LOG_BYTES,
            logfile_backups=str(_LOG_BACKUPS),
        ),
        _section("unix_http_server", file=socket, chmod="0600"),
        _section(
            "rpcinterface:supervisor",
            **{
                "supervisor.rpcinterface_factory": (
                    "supervisor.rpcinterface:make_main_rpcinterface"
                )
            },
        ),
        *(_program(program, tether) for program in programs),
        *_groups(programs),
    ]
    return "\n".join(sections)


def _groups(programs: Sequence[Program]) -> list[str]:
    """Return the groups: the highest priority stops first, and a group stops all at once."""
    sections = []
    for name, priority, first in (("front", "20", True), ("back", "10", False)):
        members = [program.name for program in programs if program.stops_first is first]
        if members:
            sections.append(
                _section(f"group:{name}", programs=",".join(members), priority=priority)
            )
    return sections


def _program(program: Program, tether: Sequence[str]) -> str:
    return _section(
        f"program:{program.name}",
        command=" ".join(_word(word) for word in (*tether, *program.command)),
        environment=",".join(f'{name}="{value}"' for name, value in program.environment.items()),
        autostart="true",
        autorestart="true",
        startsecs="2",
        startretries=str(_RETRIES),
        stopsignal="TERM",
        stopwaitsecs=str(program.stop_seconds),
        stopasgroup="true",
        killasgroup="true",
        redirect_stderr="true",
        stdout_logfile=f"%(here)s/{LOGS}/{program.name}.log",
        stdout_logfile_maxbytes=_LOG_BYTES,
        stdout_logfile_backups=str(_LOG_BACKUPS),
    )


def _section(heading: str, **options: str) -> str:
    lines = [f"{name}={value}" for name, value in options.items() if value]
    return "\n".join([f"[{heading}]", *lines, ""])


def _word(word: str) -> str:
    """Return a word of a command as supervisor reads it.

    It cuts comments at a blank and `;` or `#`, strips blanks at the end, expands `%`, and then
    splits as a shell does; escaping each special character by itself passes all four.
    """
    return _SPECIAL.sub(_escape, word) or '""'


def _escape(found: re.Match[str]) -> str:
    sign = found.group()
    if sign == "%":
        return "%%"
    return f"'{sign}'" if sign.isspace() else f"\\{sign}"
