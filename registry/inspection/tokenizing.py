"""The base model's tokenizer, loaded where lengths are wanted.

It refuses to fetch anything, and to import transformers before it is asked.
"""

from typing import cast

from registry.errors import Unavailable
from registry.rendering import BatchTokenizer


def load_tokenizer(base_model: str) -> BatchTokenizer:
    """Return the tokenizer of the base model at a path, or of a name that is in the local cache.

    Raises:
        Unavailable: There is none on this machine, or it cannot be read.
    """
    from transformers import AutoTokenizer  # noqa: PLC0415 - it takes seconds

    try:
        found = AutoTokenizer.from_pretrained(base_model, local_files_only=True)
    except Exception as exc:
        first_line = str(exc).partition("\n")[0][:200]
        message = f"The tokenizer of '{base_model}' cannot be loaded here ({first_line})."
        raise Unavailable("tokenizer", message) from exc
    return cast("BatchTokenizer", found)
