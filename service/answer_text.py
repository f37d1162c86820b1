"""The words of an answer, gathered in passing where a project keeps them.

It refuses to know where an answer has its words: each dialect does.
"""

from collections.abc import Callable


class AnswerText:
    """Gathers the first alternative of an answer whose text is kept.

    Args:
        words_of: Returns the words in a plain answer's body or in the data of one event.
        limit: Longest text that is kept, in characters.
    """

    def __init__(self, words_of: Callable[[bytes], str], *, limit: int) -> None:
        self._words_of = words_of
        self._limit = limit
        self._pieces: list[str] = []
        self._length = 0

    def feed(self, payload: bytes) -> None:
        """Take a plain answer's body or the data of one event.

        An answer beyond the limit is not kept at all.
        """
        if self._length <= self._limit and (piece := self._words_of(payload)):
            self._length += len(piece)
            self._pieces.append(piece)

    @property
    def value(self) -> str | None:
        """The text; none when there was none, or too much."""
        return "".join(self._pieces) if 0 < self._length <= self._limit else None
