"""What the local stack runs: commands, environment, and where each process answers. Pure.

It refuses to start anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from registry.engine_layers import ENGINE_LAYERS
from registry.settings import Settings

ENGINE = "engine"
"""Name of the first vLLM server among the programs; the others are `engine-2` and so on."""
SMALL_CORES = 8
"""Cores up to which the CPU engine runs without a process for its worker."""
SPARE_ADAPTERS = 1024
"""Adapters that the engine may keep in memory beyond `max_loaded_adapters`, since what deployments
name may exceed it. Only those that are loaded take any."""
_STOP_MARGIN_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process of the stack."""

    name: str
    """What the operator calls it."""
    command: tuple[str, ...]
    """Program and arguments."""
    health_url: str
    """Answers 200 when the process does its work."""
    waits_for: str
    """What takes the time until it answers."""
    stop_seconds: int
    """Time it gets to stop before it is killed."""
    stops_first: bool = True
    """Whether it stops before the programs that others lean on."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those every program gets."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """What the programs depend on beside the settings."""

    python: str
    """The interpreter."""
    cpu_engine: bool
    """Whether the installed vLLM is the CPU build."""
    cores: int
    """Physical processor cores we may use."""
    fast_bfloat16: bool = True
    """Whether the processor has instructions for bfloat16."""
    engine_options: tuple[str, ...] = ()
    """Further options for vLLM, as the operator gave them."""


def programs_of(settings: Settings, host: Host) -> tuple[Program, ...]:
    """Return the programs of the stack, vLLM first unless it runs elsewhere."""
    graftline = (
        _own("service", f"{settings.service_url}/health/live", settings, host),
        _own("trainer", f"http://127.0.0.1:{settings.trainer_port}/metrics", settings, host),
        _own("evals", f"http://127.0.0.1:{settings.evals_port}/metrics", settings, host),
    )
    if not settings.runs_engines:
        return graftline
    engines = (engine_program(settings, host, index) for index in range(settings.engine_replicas))
    return (*engines, *graftline)


def engine_name(index: int) -> str:
    """Return the name of a vLLM server among the programs, counted from 0."""
    return ENGINE if index == 0 else f"{ENGINE}-{index + 1}"


def engine_program(settings: Settings, host: Host, index: int = 0) -> Program:
    """Return a vLLM server, counted from 0."""
    port = settings.engine_ports[index]
    return Program(
        name=engine_name(index),
        command=(host.python, *_engine_command(settings, host, port)),
        health_url=f"http://127.0.0.1:{port}/health",
        waits_for="the model (about a minute on a small machine)",
        stop_seconds=int(settings.shutdown_seconds) + _STOP_MARGIN_SECONDS,
        stops_first=False,
        environment=_engine_environment(settings, host),
    )


def shared_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that every program gets beside the settings."""
    # A hub is asked only when the operator named a model there.
    local = Path(settings.base_model).exists()
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if local else {}
    # In the environment and not in supervisor's file: that file is not secret.
    key = {"VLLM_API_KEY": settings.engine_key.get_secret_value()} if settings.engine_key else {}
    return {"PYTHONUNBUFFERED": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **offline, **key}


def _own(package: str, health_url: str, settings: Settings, host: Host) -> Program:
    return Program(
        name=package,
        command=(host.python, "-m", package),
        health_url=health_url,
        waits_for="its first answer",
        stop_seconds=int(settings.shutdown_seconds) + _STOP_MARGIN_SECONDS,
    )


def _engine_command(settings: Settings, host: Host, port: int) -> Sequence[str]:
    # Loopback only: vLLM's one key opens inference and administration alike.
    command = [
        *("-m", "vllm.entrypoints.openai.api_server"),
        *("--model", settings.base_model),
        *("--served-model-name", settings.base_name),
        *("--host", "127.0.0.1", "--port", str(port)),
        "--enable-lora",
        *("--max-loras", str(settings.max_loras)),
        *("--max-cpu-loras", str(_kept_adapters(settings))),
        *("--max-lora-rank", str(settings.max_lora_rank)),
        *("--max-model-len", str(settings.max_model_len)),
        *("--lora-target-modules", *ENGINE_LAYERS),
    ]
    if host.cpu_engine:
        command.append("--enforce-eager")
        if not host.fast_bfloat16:
            command += ["--dtype", "float32"]
    return [*command, *host.engine_options]


def _kept_adapters(settings: Settings) -> int:
    """Return how many adapters vLLM keeps in memory: more than it is ever told to load.

    One beyond that number is read from its file again when a request needs it, in the middle of a
    step that others wait for; by default the number is `max_loras`.
    """
    return max(settings.max_loras, settings.max_loaded_adapters) + SPARE_ADAPTERS


def _engine_environment(settings: Settings, host: Host) -> dict[str, str]:
    environment = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    if host.cpu_engine:
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(settings.engine_kv_cache_gib)
        # Eager, the engine compiles a few one-line routines all the same: the first request that
        # asks for log-probabilities then waits 20 s for a C++ compiler.
        environment["TORCH_COMPILE_DISABLE"] = "1"
        if host.cores <= SMALL_CORES:
            environment |= _small_environment(host, settings.engine_replicas)
    return environment


def _small_environment(host: Host, replicas: int) -> dict[str, str]:
    """Return what makes the CPU engine start sooner and idle cheaper on a small machine.

    By itself it runs its one worker in a third process, so that it can bind threads to cores; that
    process imports torch and vLLM again and polls without pause. One worker needs no process of its
    own, and we say how many threads it has: all cores but one, which serves HTTP, as vLLM would.
    Several servers share them.
    """
    return {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(max(1, (host.cores - 1) // replicas)),
    }
