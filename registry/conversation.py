"""A kept request as a conversation in chat's words, whichever endpoint it came to: pure.

It refuses to know what becomes of it. Words are put together as vLLM does, so that a training row
has what the model saw. What is not text (pictures, calls of tools between the messages) stays as it
is; whoever needs text will refuse it.
"""

from collections.abc import Mapping
from typing import Any

_TEXTS = frozenset({"text", "input_text", "output_text"})


def conversation_of(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return `messages`, and `tools` if there are any; none for a bare prompt.

    Args:
        request: `messages` (chat), `messages` and `system` (Anthropic's), or `input` and
            `instructions` (responses); each perhaps with `tools`.
    """
    spoken = request.get("messages")
    if spoken is None:
        spoken = request.get("input")
        if isinstance(spoken, str):
            spoken = [{"role": "user", "content": spoken}]
    if not isinstance(spoken, list):
        return None
    first = _joined(request.get("system"), "") or request.get("instructions")
    messages = [{"role": "system", "content": first}] if first else []
    found: dict[str, Any] = {"messages": [*messages, *(_message(each) for each in spoken)]}
    if isinstance(request.get("tools"), list) and request["tools"]:
        found["tools"] = [_tool(each) for each in request["tools"]]
    return found


def words_of(request: Mapping[str, Any]) -> str:
    """Return the words of a request, one message after another."""
    prompt = request.get("prompt")
    if isinstance(prompt, str):
        return prompt
    conversation = conversation_of(request)
    messages = [] if conversation is None else conversation["messages"]
    contents = (each.get("content") for each in messages if isinstance(each, dict))
    return "\n".join(content for content in contents if isinstance(content, str))


def _message(message: object) -> object:
    """Return a message; parts that are all text become one text, joined as vLLM joins them."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    spoken = {name: value for name, value in message.items() if name not in {"type", "content"}}
    return {**spoken, "content": _joined(message["content"], "\n")}


def _joined(content: object, between: str) -> object:
    if not isinstance(content, list):
        return content
    texts = [part["text"] for part in content if _is_text(part)]
    return between.join(texts) if len(texts) == len(content) else content


def _is_text(part: object) -> bool:
    return (
        isinstance(part, dict) and part.get("type") in _TEXTS and isinstance(part.get("text"), str)
    )


def _tool(tool: object) -> object:
    """Return a tool's description as chat has it: nested, its schema under `parameters`."""
    if not isinstance(tool, dict) or "function" in tool or not tool.get("name"):
        return tool
    function = {name: tool[name] for name in ("name", "description", "strict") if name in tool}
    schema = tool.get("input_schema", tool.get("parameters"))
    return {"type": "function", "function": {**function, "parameters": schema or {}}}
