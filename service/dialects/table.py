"""Every door to the engine. What is not here cannot be reached from outside.

It refuses to know administration: vLLM has it on the same port, and no path leads there.
"""

from collections.abc import Mapping

from service.dialects.choices import CHAT, COMPLETIONS
from service.dialects.dialect import Dialect
from service.dialects.messages import MESSAGES
from service.dialects.responses import RESPONSES
from service.dialects.tokens import COUNT_TOKENS, DETOKENIZE, TOKENIZE

DIALECTS = (CHAT, COMPLETIONS, RESPONSES, MESSAGES, COUNT_TOKENS, TOKENIZE, DETOKENIZE)
"""The dialects that are served."""
DIALECTS_BY_PATH: Mapping[str, Dialect] = {dialect.path: dialect for dialect in DIALECTS}
"""The dialect of each path, exactly as it is written."""
