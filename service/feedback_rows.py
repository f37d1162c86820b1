"""Judged answers as rows of a training file: pure.

It refuses to know where judgements come from and where the file goes. The rule: a correction is
better than the answer it corrects; without one, the score decides.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

from registry.chatdata import parse_row
from registry.conversation import conversation_of
from registry.errors import InvalidData
from registry.records import InteractionText
from registry.store.interactions import Judged


class Method(StrEnum):
    """What the file trains."""

    SUPERVISED = "supervised"
    DPO = "dpo"


class Skip(StrEnum):
    """Why a judgement, or a row made from it, is not in the file."""

    NO_TEXT = "no_text"
    """The text was not kept, or its time is over."""
    NOT_GOOD = "not_good"
    """The score is too low or unknown, and there is no correction."""
    NO_PAIR = "no_pair"
    """DPO: no better or no worse answer to the same request is known."""
    NOT_TRAINABLE = "not_trainable"
    """The request cannot be trained on, such as one with images."""
    DUPLICATE = "duplicate"
    """The same row is in the file already."""
    OVER_LIMIT = "over_limit"
    """The file has as many rows, or bytes, as it may."""


class _Said(msgspec.Struct):
    request: dict[str, Any]
    good: list[str] = []
    bad: list[str] = []


class Collection:
    """Takes judgements one by one, and gives the file's rows in the end."""

    def __init__(self, method: Method, *, min_score: float, max_rows: int, max_bytes: int) -> None:
        self.skipped: Counter[Skip] = Counter()
        """How many judgements or rows are left out, by reason."""
        self.rows: list[bytes] = []
        """The rows so far, each one line of JSON."""
        self._method = method
        self._min_score = min_score
        self._max_rows = max_rows
        self._room = max_bytes
        self._seen: set[bytes] = set()
        self._pairs: dict[bytes, _Said] = {}

    @property
    def is_full(self) -> bool:
        """Whether nothing more fits."""
        return self._room <= 0 or len(self.rows) >= self._max_rows

    def take(self, judged: Judged) -> None:
        """Take a judgement."""
        if judged.text is None:
            self.skipped[Skip.NO_TEXT] += 1
        elif self._method is Method.SUPERVISED:
            self._take_example(judged, judged.text)
        else:
            self._take_side(judged, judged.text)

    def finish(self) -> None:
        """Make the pairs, when pairs are wanted; nothing can be taken afterwards."""
        for said in self._pairs.values():
            pairs = list(_pairs(said))
            if not pairs:
                self.skipped[Skip.NO_PAIR] += 1
            for row in pairs:
                self._add(row)
        self._pairs.clear()

    def _take_example(self, judged: Judged, text: InteractionText) -> None:
        given = judged.feedback
        answer = given.correction or (text.answer if self._is_good(given.score) else None)
        if answer is None:
            self.skipped[Skip.NOT_GOOD] += 1
            return
        row = supervised_row(text.request, answer)
        if row is None:
            self.skipped[Skip.NOT_TRAINABLE] += 1
        else:
            self._add(row)

    def _take_side(self, judged: Judged, text: InteractionText) -> None:
        given = judged.feedback
        if _input(text.request) is None or supervised_row(text.request, text.answer) is None:
            self.skipped[Skip.NOT_TRAINABLE] += 1
            return
        digest = _digest(text.request)
        said = self._pairs.get(digest) or _Said(request=text.request, good=[], bad=[])
        self._pairs[digest] = said
        self._room -= len(text.answer) + len(msgspec.json.encode(text.request))
        if given.correction:
            said.good.insert(0, given.correction)
            said.bad.insert(0, text.answer)
        elif given.score is not None:
            (said.good if self._is_good(given.score) else said.bad).append(text.answer)

    def _is_good(self, score: float | None) -> bool:
        return score is not None and score >= self._min_score

    def _add(self, row: Mapping[str, Any]) -> None:
        line = msgspec.json.encode(row) + b"\n"
        digest = _digest(row)
        if digest in self._seen:
            self.skipped[Skip.DUPLICATE] += 1
        elif len(self.rows) >= self._max_rows:
            self.skipped[Skip.OVER_LIMIT] += 1
        else:
            self._seen.add(digest)
            self._room -= len(line)
            self.rows.append(line)


def supervised_row(request: Mapping[str, Any], answer: str) -> dict[str, Any] | None:
    """Return the example that teaches an answer; none when it cannot be trained on.

    Earlier answers of the conversation get the weight 0: nobody judged them.
    """
    conversation = conversation_of(request)
    row: dict[str, Any] = {"prompt": request.get("prompt"), "completion": answer}
    if conversation is not None:
        earlier = [_unweighted(message) for message in conversation["messages"]]
        answered = [*earlier, {"role": "assistant", "content": answer}]
        row = {**conversation, "messages": answered}
    try:
        parse_row(1, msgspec.json.encode(row))
    except InvalidData:
        return None
    return row


def _pairs(said: _Said) -> Iterator[dict[str, Any]]:
    """Yield each better answer with a worse one: both are used once while there are others."""
    used = max(len(said.good), len(said.bad)) if said.good and said.bad else 0
    for at in range(used):
        better, worse = said.good[at % len(said.good)], said.bad[at % len(said.bad)]
        if better != worse:
            yield {
                "input": _input(said.request),
                "preferred_output": [{"role": "assistant", "content": better}],
                "non_preferred_output": [{"role": "assistant", "content": worse}],
            }


def _input(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a request as the input of a pair; a bare prompt is the words of a user."""
    prompt = request.get("prompt")
    if isinstance(prompt, str):
        return {"messages": [{"role": "user", "content": prompt}]}
    return conversation_of(request)


def _unweighted(message: object) -> object:
    if isinstance(message, dict) and message.get("role") == "assistant":
        return {**message, "weight": 0}
    return message


def _digest(value: object) -> bytes:
    return sha256(msgspec.json.encode(value, order="sorted")).digest()[:16]
