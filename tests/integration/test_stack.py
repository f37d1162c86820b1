"""`graftline up` with the real vLLM: it stays up, says what is wrong, and leaves nothing behind."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from registry.settings import Settings, child_environment
from service.stack.readiness import ask
from tests.integration.stack import Stack, own_settings, running_stack, up_command
from tests.processes import family, still_alive, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def refused(settings: Settings) -> str:
    """Start a second stack that must end at once with status 1; return what it says."""
    done = subprocess.run(
        up_command(),
        env=child_environment(settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_the_welcome_says_how_to_use_it(stack: Stack) -> None:
    """Address, key and base model are printed, ready to be copied."""
    told = stack.output()
    assert f'base_url="{stack.url}/v1"' in told
    assert stack.admin_key in told
    assert 'model="tiny-base"' in told


def test_vllm_listens_on_the_loopback_address_only(stack: Stack) -> None:
    """Its one key opens administration too, so nobody else may reach it."""
    engine = psutil.Process(stack.pids()["engine"])
    listening = [c.laddr for c in engine.net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(a.ip, a.port) for a in listening] == [("127.0.0.1", stack.settings.engine_port)]


def test_only_vllms_server_holds_its_port(stack: Stack) -> None:
    """A server that dies leaves no process behind that takes clients and answers none."""
    below = psutil.Process(stack.pids()["engine"]).children(recursive=True)
    assert below
    waiting = [c for one in below for c in one.net_connections() if c.status == psutil.CONN_LISTEN]
    assert stack.settings.engine_port not in [c.laddr.port for c in waiting]


def test_the_dashboards_names_of_vllm_exist(stack: Stack) -> None:
    """The three metrics of vLLM that the dashboard shows are exported by the real one."""
    told = ask(f"{stack.settings.engine_base_url}/metrics").body.decode()
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
        assert f"\nvllm:{name}{{" in told


def test_a_taken_port_is_named(stack: Stack, tmp_path: Path) -> None:
    """The message has the port, who holds it and the option; nothing is started."""
    wanted = own_settings(tmp_path).model_copy(update={"port": stack.settings.port})
    told = refused(wanted)
    assert f"Port {stack.settings.port}, which the service needs, is taken" in told
    assert f"(pid {stack.pids()['service']})" in told
    assert "--port" in told
    assert not (wanted.data_dir / "logs").exists()


def test_a_second_stack_on_the_same_data_is_refused(stack: Stack, tmp_path: Path) -> None:
    """The message names the folder and the option."""
    told = refused(own_settings(tmp_path).model_copy(update={"data_dir": stack.data_dir}))
    assert str(stack.data_dir) in told
    assert "--data-dir" in told


def test_every_part_comes_back_after_kill_9(stack: Stack) -> None:
    """All four killed at once are all ready again without help, with nothing of the old left."""
    before = [
        process for pid in stack.pids().values() if pid is not None for process in family(pid)
    ]
    for part in ("evals", "trainer", "service", "engine"):
        stack.kill(part, signal.SIGKILL)
    told = stack.wait_ready()
    assert all(count >= 1 for count in told["restarts"].values())
    wait_until(lambda: not still_alive(before), "the old processes are gone")


def test_nothing_outlives_a_killed_stack(tmp_path: Path) -> None:
    """After kill -9 of `graftline up` every process ends, vLLM's children included."""
    with running_stack(tmp_path) as stack:
        everyone = family(stack.process.pid)
        stack.process.kill()
        stack.process.wait()
        wait_until(lambda: not still_alive(everyone), "every process is gone", seconds=60)
