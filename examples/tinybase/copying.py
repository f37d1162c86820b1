"""Exercises that answer with words of the question: copy, pick, change case, replace.

Knows nothing of JSON and of conversations with several turns.
"""

from examples.tinybase import words
from examples.tinybase.exercise import Skill, Task
from examples.tinybase.words import Dice

ORDINALS = ("first", "second", "third", "fourth")


def _framed(dice: Dice, ask: str, text: str) -> str:
    """Put a request and the text it is about together, in one of many ways."""
    shape = dice.choice(
        (
            "{ask}: {text}",
            "{ask}:\n{text}",
            "{text}\n\n{ask}.",
            '{ask}: "{text}"',
            "Text: {text}\n{ask}.",
            "{ask}.\n\n{text}",
            "Please {lower}: {text}",
            "{ask}\n---\n{text}",
            "Can you {lower}? {text}",
            "<text>{text}</text>\n{ask}.",
        )
    )
    return shape.format(ask=ask, lower=ask[0].lower() + ask[1:], text=text)


def copy(dice: Dice) -> Task:
    """Say the same again."""
    text = words.phrase(dice, 1, 10) if dice.random() < 0.7 else words.code(dice)
    ask = dice.choice(
        ("Repeat", "Copy", "Say exactly", "Write the same", "Repeat this text", "Echo", "Copy this")
    )
    return Task(_framed(dice, ask, text), text)


def pick(dice: Dice) -> Task:
    """Give the first, second, third, fourth or last word."""
    parts = words.words(dice, 3, 8)
    which = dice.choice((*ORDINALS[: len(parts) - 1], "last", "last", "first"))
    answer = parts[-1] if which == "last" else parts[ORDINALS.index(which)]
    ask = dice.choice(
        (
            f"Give the {which} word",
            f"Write the {which} word",
            f"Answer with the {which} word",
            f"Tell me the {which} word",
            f"Say only the {which} word",
        )
    )
    return Task(_framed(dice, ask, " ".join(parts)), answer)


def change_case(dice: Dice) -> Task:
    """Write in capitals, in small letters or with capital initials."""
    text = " ".join(words.known_word(dice) for _ in range(dice.randint(1, 2)))
    roll = dice.random()
    if roll < 0.5:
        ask, answer = dice.choice(("Write in upper case", "Use capital letters")), text.upper()
    elif roll < 0.8:
        ask, answer = dice.choice(("Write in lower case", "Use small letters")), text.lower()
        text = text.upper() if dice.random() < 0.6 else text.title()
    else:
        ask, answer = "Capitalise each word", text.title()
        text = text.lower()
    return Task(_framed(dice, ask, text), answer)


def replace(dice: Dice) -> Task:
    """Put one word in the place of another, or take one out."""
    parts = words.words(dice, 3, 5)
    old, new = dice.choice(parts), words.known_word(dice)
    if dice.random() < 0.6:
        ask = dice.choice((f"Replace {old} with {new}", f"Write {new} instead of {old}"))
        answer = [new if part == old else part for part in parts]
    else:
        ask = dice.choice((f"Remove the word {old}", f"Leave out {old}", f"Drop the word {old}"))
        answer = [part for part in parts if part != old]
    return Task(_framed(dice, ask, " ".join(parts)), " ".join(answer))


def join(dice: Dice) -> Task:
    """Write words with something between them."""
    parts = words.words(dice, 2, 6)
    ask, glue = dice.choice(
        (
            ("Join with commas", ", "),
            ("Put a plus sign between the words", " + "),
            ("Join with dashes", "-"),
            ("Write one word per line", "\n"),
            ("Write as a list with dashes", "\n- "),
            ("Put a slash between the words", "/"),
        )
    )
    answer = glue.join(parts)
    return Task(_framed(dice, ask, " ".join(parts)), "- " + answer if glue == "\n- " else answer)


def wrap(dice: Dice) -> Task:
    """Put brackets, quotes or a tag around a text."""
    text = " ".join(words.words(dice, 1, 5))
    ask, left, right = dice.choice(
        (
            ("Put it in brackets", "(", ")"),
            ("Put it in square brackets", "[", "]"),
            ("Put it in double quotes", '"', '"'),
            ("Add an exclamation mark", "", "!"),
            ("Add a question mark", "", "?"),
            ("Wrap it in a b tag", "<b>", "</b>"),
        )
    )
    return Task(_framed(dice, ask, text), f"{left}{text}{right}")


def between(dice: Dice) -> Task:
    """Give what stands between marks, or before or after a word."""
    parts = words.words(dice, 4, 6)
    cut = dice.randint(1, len(parts) - 2)
    if dice.random() < 0.5:
        inner = words.phrase(dice, 1, 3)
        left, right, name = dice.choice(
            (("(", ")", "brackets"), ('"', '"', "quotes"), ("*", "*", "stars"))
        )
        text = " ".join([*parts[:cut], f"{left}{inner}{right}", *parts[cut:]])
        return Task(_framed(dice, f"Write what is between the {name}", text), inner)
    if dice.random() < 0.5:
        return Task(
            _framed(dice, f"Which word comes after {parts[cut]}", " ".join(parts)), parts[cut + 1]
        )
    return Task(
        _framed(dice, f"Which word comes before {parts[cut]}", " ".join(parts)), parts[cut - 1]
    )


def fill(dice: Dice) -> Task:
    """Fill a template with given values."""
    keys = dice.sample(words.FIELDS, k=dice.randint(1, 2))
    values = [words.code(dice) if dice.random() < 0.3 else words.word(dice) for _ in keys]
    hull = words.words(dice, len(keys) + 1, len(keys) + 3)
    slots = " ".join(f"{hull[i]} {{{key}}}" for i, key in enumerate(keys))
    template = f"{slots} {' '.join(hull[len(keys) :])}"
    given = ", ".join(f"{key} is {value}" for key, value in zip(keys, values, strict=True))
    answer = template.format(**dict(zip(keys, values, strict=True)))
    return Task(f"Fill in: {template}\n{given}", answer)


SKILLS = (
    Skill("copy", 1.0, copy),
    Skill("pick a word", 1.5, pick),
    Skill("change case", 3.5, change_case),
    Skill("replace or drop", 4.0, replace),
    Skill("join", 0.4, join),
    Skill("wrap", 0.5, wrap),
    Skill("between", 3.0, between),
    Skill("fill a template", 0.6, fill),
)
