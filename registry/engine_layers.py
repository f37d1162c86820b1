"""The layers that the engine lets an adapter change. Pure.

It refuses to know models: a layer is known by its name. What an adapter changes beside these the
engine would take and silently not apply.
"""

import re
from collections.abc import Iterable

ENGINE_LAYERS = (
    *("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj", "query_key_value", "dense"),
    *("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2"),
)
"""Last parts of the names of the linear layers that vLLM is started for: all but `lm_head`. With
`lm_head` among them vLLM's CPU engine dies when a request for prompt log-probabilities shares a
step with another request."""
_EXPERT = re.compile(r"\.experts(\.|$)")


def is_expert(module: str) -> bool:
    """Return whether a layer is one of a mixture's experts, which no adapter changes here."""
    return _EXPERT.search(module) is not None


def ignored(modules: Iterable[str]) -> list[str]:
    """Return the layers that the engine would not change, sorted."""
    return sorted(
        module
        for module in modules
        if module.rpartition(".")[2] not in ENGINE_LAYERS or is_expert(module)
    )
