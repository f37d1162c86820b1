"""What one endpoint for inference has of its own.

It refuses to know the endpoints; each family has a file beside this one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.dialects.shapes import Shape
from service.streaming import Reading, StreamReader
from service.units import DEFAULT_SOURCES


def _read_nothing(_body: bytes) -> Reading:
    return Reading()


def _no_words(_payload: bytes) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """One endpoint, the same here and in the engine."""

    name: str
    """How metrics and interactions call it."""
    path: str
    """Where it is, here and in the engine."""
    summary: str
    """What it does, in one sentence."""
    required: Mapping[str, type]
    """Fields a request must have beside `model`, for the API's description."""
    prompt_fields: tuple[str, ...] = ()
    """Fields with the words for the model, in the order in which it reads them."""
    optional: Mapping[str, type] = field(default_factory=dict)
    """Fields that it may have, where the description would be useless without them."""
    id_prefix: str
    """What the engine puts before our request id to name its answer."""
    id_field: str | None = None
    """Field of the request that names the answer, where the engine ignores `X-Request-Id`."""
    shape: Shape = Shape.OPENAI
    """Whose errors its clients understand."""
    is_interaction: bool = True
    """Whether a model answers, so that the request is kept as an interaction."""
    asks_for_usage: bool = False
    """Whether a stream reports usage only on `stream_options.include_usage`."""
    unit_sources: Sequence[str] = DEFAULT_SOURCES
    """Where the unit is read unless the deployment says otherwise."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Why a field cannot be had, by field."""
    read: Callable[[bytes], Reading] = _read_nothing
    """Reads a plain answer."""
    stream_reader: type[StreamReader] = StreamReader
    """Reads a streamed answer."""
    words_of: Callable[[bytes], str] = _no_words
    """Returns the words of the first alternative in a plain answer's body or in one event's data;
    empty when there are none or it cannot be read. Thoughts and calls of tools are no words."""
