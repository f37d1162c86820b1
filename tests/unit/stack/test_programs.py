"""What the local stack runs."""

from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from registry.settings import Settings
from service.stack.programs import Host, engine_program, programs_of, shared_environment

SMALL = Host(python="/usr/bin/python", cpu_engine=True, cores=2)


def test_vllm_and_three_processes_run(settings: Settings) -> None:
    """By default the stack is vLLM, service, trainer and evals."""
    names = [program.name for program in programs_of(settings, SMALL)]
    assert names == ["engine", "service", "trainer", "evals"]


def test_a_vllm_elsewhere_is_not_started(settings: Settings) -> None:
    """With GRAFTLINE_ENGINE_URL set there is no vLLM of our own."""
    elsewhere = settings.model_copy(update={"engine_url": "http://gpu:8000"})
    assert "engine" not in [program.name for program in programs_of(elsewhere, SMALL)]


def test_several_vllm_servers_are_started_ten_ports_apart(settings: Settings) -> None:
    """Each has its name and its port, and answers there."""
    three = settings.model_copy(update={"engine_replicas": 3, "engine_port": 9000})
    engines = programs_of(three, SMALL)[:3]
    assert [one.name for one in engines] == ["engine", "engine-2", "engine-3"]
    assert [one.health_url for one in engines] == [
        f"http://127.0.0.1:{port}/health" for port in (9000, 9010, 9020)
    ]
    assert all(
        str(port) in one.command for one, port in zip(engines, (9000, 9010, 9020), strict=True)
    )


def test_vllm_servers_found_by_name_are_not_started(settings: Settings) -> None:
    """GRAFTLINE_ENGINE_DNS names servers that run already."""
    named = settings.model_copy(update={"engine_dns": "http://vllm:8000"})
    assert "engine" not in [program.name for program in programs_of(named, SMALL)]


def test_vllm_servers_on_a_small_machine_share_its_cores(settings: Settings) -> None:
    """Eight cores, three servers: two threads each, and the rest for HTTP."""
    host = Host(python="python", cpu_engine=True, cores=8)
    three = settings.model_copy(update={"engine_replicas": 3})
    assert engine_program(three, host, 2).environment["OMP_NUM_THREADS"] == "2"


def test_vllm_is_bound_to_the_loopback_address(settings: Settings) -> None:
    """Even when the service listens everywhere."""
    command = engine_program(settings.model_copy(update={"host": "192.0.2.1"}), SMALL).command
    assert command[command.index("--host") + 1] == "127.0.0.1"


def test_settings_reach_vllm(settings: Settings) -> None:
    """Base model, its name, LoRA limits and length are handed on."""
    chosen = {"max_loras": 7, "max_lora_rank": 64, "max_model_len": 512, "engine_port": 9}
    command = engine_program(settings.model_copy(update=chosen), SMALL).command
    pairs = dict(pairwise(command))
    assert pairs["--max-loras"] == "7"
    assert pairs["--max-lora-rank"] == "64"
    assert pairs["--max-model-len"] == "512"
    assert pairs["--port"] == "9"
    assert pairs["--model"] == settings.base_model
    assert pairs["--served-model-name"] == "tiny-base"


def test_vllm_has_memory_for_every_adapter_that_may_be_loaded(settings: Settings) -> None:
    """One that it pushed out it would read from its file in the middle of a step."""
    chosen = settings.model_copy(update={"max_loaded_adapters": 100})
    pairs = dict(pairwise(engine_program(chosen, SMALL).command))
    assert int(pairs["--max-cpu-loras"]) > 100


def test_only_the_cpu_build_runs_eagerly(settings: Settings) -> None:
    """A GPU keeps its compiled graphs, and no CPU variable is set for it."""
    gpu = engine_program(settings, Host(python="python", cpu_engine=False, cores=2))
    assert "--enforce-eager" not in gpu.command
    assert not [name for name in gpu.environment if "CPU" in name or "COMPILE" in name]
    assert engine_program(settings, SMALL).environment["TORCH_COMPILE_DISABLE"] == "1"


def test_a_processor_without_bfloat16_serves_float32(settings: Settings) -> None:
    """Only there is the precision chosen for the engine."""
    old = Host(python="python", cpu_engine=True, cores=2, fast_bfloat16=False)
    assert "--dtype float32" in " ".join(engine_program(settings, old).command)
    assert "--dtype" not in engine_program(settings, SMALL).command


def test_a_small_machine_saves_a_process(settings: Settings) -> None:
    """On two cores vLLM's worker has one thread and no process of its own."""
    environment = engine_program(settings, SMALL).environment
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_a_large_machine_keeps_vllms_choice(settings: Settings) -> None:
    """With many cores vLLM binds its threads itself."""
    large = engine_program(settings, Host(python="python", cpu_engine=True, cores=64))
    assert "OMP_NUM_THREADS" not in large.environment


def test_further_options_come_last(settings: Settings) -> None:
    """So that they win over ours."""
    host = Host(python="python", cpu_engine=True, cores=2, engine_options=("--seed", "3"))
    assert engine_program(settings, host).command[-2:] == ("--seed", "3")


def test_a_local_base_asks_no_hub(settings: Settings) -> None:
    """The hub is off for a folder, and on for a model the operator named there."""
    assert shared_environment(settings)["HF_HUB_OFFLINE"] == "1"
    named = settings.model_copy(update={"base_model": "Qwen/Qwen3-0.6B"})
    assert "HF_HUB_OFFLINE" not in shared_environment(named)


def test_the_engines_key_is_no_argument(settings: Settings) -> None:
    """A command line can be read by every user of the machine."""
    secret = settings.model_copy(update={"engine_key": SecretStr("hidden")})
    assert "hidden" not in engine_program(secret, SMALL).command
    assert shared_environment(secret)["VLLM_API_KEY"] == "hidden"


def test_the_processes_answer_where_the_settings_say(settings: Settings) -> None:
    """Health addresses follow the ports."""
    moved = settings.model_copy(update={"port": 1, "trainer_port": 2, "evals_port": 3})
    urls = {program.name: program.health_url for program in programs_of(moved, SMALL)}
    assert urls["service"] == "http://127.0.0.1:1/health/live"
    assert urls["trainer"] == "http://127.0.0.1:2/metrics"
    assert urls["evals"] == "http://127.0.0.1:3/metrics"


def test_processes_get_their_shutdown_time(tmp_path: Path) -> None:
    """Supervisor waits longer than a process may take."""
    patient = Settings(data_dir=tmp_path, shutdown_seconds=30)
    assert all(program.stop_seconds > 30 for program in programs_of(patient, SMALL))
