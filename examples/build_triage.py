"""Builds the demo's data: support tickets and the JSON a help desk wants from them.

Touches no model. Run: `python -m examples.build_triage`.
"""

import argparse
import json
import random
import re
import string
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "triage"
PHRASES = HERE / "phrases.toml"
LONGEST_TICKET = 230
"""Characters; keeps a row under 160 tokens of the tiny base model's tokenizer."""
UNSEEN_PROBLEM_SHARE = 0.1
"""Share of held-out tickets whose problem is worded as in no training row."""
UNSEEN_SHARE = 0.1
"""The same for each other part of a held-out ticket."""
NEAREST = 0.6
"""No held-out ticket shares more of its word triples than this with a training ticket."""
SLIP_SHARE = 0.3
"""Share of tickets in which one word may be mistyped, if the word that is drawn is long enough."""
SHORTEST_SLIP = 4
PRIORITY_WEIGHTS = {"low": 2, "normal": 4, "high": 3, "urgent": 2}
NAMES = (
    "Ada",
    "Bo",
    "Cem",
    "Dana",
    "Eli",
    "Fay",
    "Gus",
    "Hal",
    "Ida",
    "Jan",
    "Kim",
    "Liv",
    "Max",
    "Noa",
)

Phrases = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket and what it says."""

    text: str
    """What the customer wrote."""
    answer: dict[str, str | None]
    """What the help desk wants to know, keys in a fixed order."""

    def row(self) -> str:
        """Write it as a line of a chat file."""
        answer = json.dumps(self.answer, ensure_ascii=False, separators=(",", ":"))
        messages = [
            {"role": "user", "content": self.text},
            {"role": "assistant", "content": answer},
        ]
        return json.dumps({"messages": messages}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Writer:
    """A customer: the phrases at hand and the dice that choose among them."""

    usual: Phrases
    """Phrases of the training rows."""
    unseen: Phrases
    """Phrases that only held-out rows may use; empty for a training row's writer."""
    products: list[str]
    """What the shop sells."""
    dice: random.Random
    """Chance."""

    def ticket(self) -> Ticket:
        """Write one ticket; each fact of the answer can be read in it."""
        dice = self.dice
        category = dice.choice(list(self.usual["problem"]))
        priority = dice.choices(list(PRIORITY_WEIGHTS), weights=list(PRIORITY_WEIGHTS.values()))[0]
        product = dice.choice(self.products)
        order = _order_number(dice) if dice.random() < 0.6 else None
        problem = self._phrase("problem", category).format(p=_shown(product, dice))
        body = [_sentence(problem, dice), self._phrase("priority", priority)]
        if order:
            body.append(self._phrase("order").format(o=order))
        body += [self._aside() for _ in range(dice.choice((0, 0, 1, 1, 2)))]
        dice.shuffle(body)
        closing = self._phrase("closing").format(a=dice.choice(NAMES))
        gap = dice.choice((" ", " ", "\n"))
        text = gap.join(part for part in (self._phrase("opening"), *body, closing) if part)
        answer = {"category": category, "priority": priority, "product": product, "order_id": order}
        return Ticket(_typed(text, dice), answer)

    def _aside(self) -> str:
        number, day = self.dice.randint(10**4, 10**7), self.dice.randint(4, 20)
        return self._phrase("aside").format(n=number, d=day)

    def _phrase(self, part: str, kind: str | None = None) -> str:
        share = UNSEEN_PROBLEM_SHARE if part == "problem" else UNSEEN_SHARE
        source = self.unseen if self.unseen and self.dice.random() < share else self.usual
        return str(self.dice.choice(source[part][kind] if kind else source[part]))


def _order_number(dice: random.Random) -> str:
    digits = "".join(dice.choices(string.digits, k=5))
    return f"{dice.choice(('GL', 'GL', 'SO', 'W'))}-{digits}"


def _shown(product: str, dice: random.Random) -> str:
    """Name the product as customers do."""
    roll = dice.random()
    if roll < 0.08:
        return product.upper()
    if roll < 0.16:
        return product.title()
    return (
        f"{dice.choice(('new', 'white', 'black', 'Norda', 'small'))} {product}"
        if roll < 0.3
        else product
    )


def _sentence(text: str, dice: random.Random) -> str:
    roll = dice.random()
    if roll < 0.55:
        text = text[0].upper() + text[1:]
    return text + ("." if roll < 0.6 else dice.choice(("", "!", "...", "?")))


def _typed(text: str, dice: random.Random) -> str:
    """Type as some people type: with a slip in a word."""
    if dice.random() > SLIP_SHARE:
        return text
    words = text.split(" ")
    place = dice.randrange(len(words))
    if words[place].isalpha() and len(words[place]) >= SHORTEST_SLIP:
        words[place] = _slip(words[place], dice)
    return " ".join(words)


def _slip(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word) - 2)
    return dice.choice(
        (word[:at] + word[at + 1] + word[at] + word[at + 2 :], word[:at] + word[at + 1 :])
    )


def _triples(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"[a-z]+", text.lower())
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def _overlap(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> float:
    """Compute Jaccard's index of two sets of word triples."""
    return len(left & right) / max(len(left | right), 1)


def tickets(writer: Writer, number: int, others: list[Ticket]) -> list[Ticket]:
    """Write `number` tickets, no two alike and none near one of the `others`."""
    near = [_triples(ticket.text) for ticket in others]
    taken = {ticket.text for ticket in others}
    found: list[Ticket] = []
    while len(found) < number:
        ticket = writer.ticket()
        triples = _triples(ticket.text)
        if len(ticket.text) > LONGEST_TICKET or ticket.text in taken:
            continue
        if any(_overlap(triples, other) > NEAREST for other in near):
            continue
        taken.add(ticket.text)
        found.append(ticket)
    return found


def _write(path: Path, rows: list[Ticket]) -> None:
    path.write_text("".join(f"{ticket.row()}\n" for ticket in rows), encoding="utf-8")
    sys.stdout.write(f"{len(rows)} rows in {path}\n")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-rows", type=int, default=900)
    parser.add_argument("--heldout-rows", type=int, default=200)
    parser.add_argument("--seed", type=int, default=23)
    parser.add_argument("--out", type=Path, default=HERE)
    asked = parser.parse_args()
    phrases = tomllib.loads(PHRASES.read_text(encoding="utf-8"))
    dice, other_dice = (
        random.Random(asked.seed + file)  # noqa: S311 - chance, not secrecy
        for file in range(2)
    )
    customer = Writer(phrases["train"], {}, phrases["products"], dice)
    train = tickets(customer, asked.train_rows, [])
    stranger = Writer(phrases["train"], phrases["heldout"], phrases["products"], other_dice)
    _write(asked.out / "train.jsonl", train)
    _write(asked.out / "heldout.jsonl", tickets(stranger, asked.heldout_rows, train))


if __name__ == "__main__":
    main()
