"""A plugin of vLLM: an adapter's weights stay in memory from its load until it is unloaded.

It refuses to know what the weights compute. By itself vLLM (0.32, 0.33) reads an adapter's file
again in the middle of a step: weights of the engine's own type stay mapped from the file, so that a
file that is cut short kills the process, and what was unloaded pushes out what is still loaded, so
that a missing or damaged file ends the engine for everybody (docs/decisions/009).
"""

import logging
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

logger = logging.getLogger("vllm.graftline")  # vLLM shows its own loggers alone

_WORKER, _MANAGER, _READ = "vllm.lora.worker_manager", "WorkerLoRAManager", "_load_adapter"
SERVING, MODELS, _UNLOAD = (
    "vllm.entrypoints.openai.models.serving",
    "OpenAIServingModels",
    "unload_lora_adapter",
)
_WEIGHTS = ("lora_a", "lora_b")

Read = Callable[[Any, Any], Any]
Unload = Callable[[Any, Any], Awaitable[Any]]


def install() -> None:
    """Wrap vLLM's routines in this process; one that serves no HTTP has only the first."""
    wrap(import_module(_WORKER), _MANAGER, _READ, copied)
    if (serving := sys.modules.get(SERVING)) is not None:
        wrap(serving, MODELS, _UNLOAD, released)


def copied(read: Read) -> Read:
    """Return `read`, whose weights are copies and not views of the file."""

    @wraps(read)
    def read_and_copy(manager: Any, request: Any) -> Any:  # noqa: ANN401 - vLLM's own types
        model = read(manager, request)
        for layer in model.loras.values():
            for name in _WEIGHTS:
                _copy(layer, name)
        return model

    return read_and_copy


def released(unload: Unload) -> Unload:
    """Return `unload`, after which the weights are given up too, and not only the name."""

    @wraps(unload)
    async def unload_and_release(models: Any, request: Any) -> Any:  # noqa: ANN401 - vLLM's own types
        name = request.lora_name
        held = models.lora_requests.get(name)
        answer = await unload(models, request)
        if held is not None and name not in models.lora_requests:
            await models.engine_client.remove_lora(held.lora_int_id)
            logger.info("Released the weights of LoRA adapter '%s'", name)
        return answer

    return unload_and_release


def _copy(layer: Any, name: str) -> None:  # noqa: ANN401 - vLLM's own types
    weight = getattr(layer, name, None)
    if weight is not None and not weight.is_pinned():  # what is pinned is a copy already
        setattr(layer, name, weight.clone())


def wrap(
    module: ModuleType, owner: str, routine: str, wrapper: Callable[[Any], Callable[..., Any]]
) -> None:
    """Put a wrapper around a routine of a class, once; what has another name is told in the log."""
    found = getattr(getattr(module, owner, None), routine, None)
    if found is None:
        logger.warning(
            "%s.%s has no %s: adapters' files must lie here and not change while they are loaded.",
            module.__name__,
            owner,
            routine,
        )
    elif not hasattr(found, "__wrapped__"):
        setattr(getattr(module, owner), routine, wrapper(found))
