"""Exercises that write or read JSON.

Knows nothing of conversations with several turns.
"""

import json
from typing import Any

from examples.tinybase import stories, words
from examples.tinybase.exercise import Skill, Task
from examples.tinybase.words import Dice


def compact(value: Any) -> str:  # noqa: ANN401 - JSON is anything
    """Write JSON without spaces, as every JSON answer of the tiny model is written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _value(dice: Dice) -> str | int | bool | None:
    roll = dice.random()
    if roll < 0.45:
        return words.word(dice)
    if roll < 0.65:
        return words.code(dice)
    if roll < 0.8:
        return dice.randint(0, 999)
    if roll < 0.86:
        return dice.random() < 0.5
    return None if roll < 0.9 else " ".join(words.words(dice, 2, 4))


def _record(dice: Dice, low: int, high: int) -> dict[str, Any]:
    return {key: _value(dice) for key in dice.sample(words.FIELDS, k=dice.randint(low, high))}


def write_object(dice: Dice) -> Task:
    """Turn keys and values into an object."""
    record = {key: str(_value(dice)) for key in dice.sample(words.FIELDS, k=dice.randint(1, 5))}
    mark, gap = dice.choice(
        ((": ", "\n"), (" = ", "; "), ("=", ", "), (" is ", ", "), (" -> ", "\n"))
    )
    pairs = gap.join(f"{key}{mark}{value}" for key, value in record.items())
    shape = dice.choice(
        ("Write as JSON: {0}", "Make a JSON object.\n{0}", "{0}\nas JSON", "Convert to JSON:\n{0}")
    )
    return Task(shape.format(pairs), compact(record))


def write_list(dice: Dice) -> Task:
    """Turn words into a list, or repeat one in a list."""
    if dice.random() < 0.35:
        item, times = words.word(dice), dice.randint(2, 4)
        shape = dice.choice(
            ("Repeat {0} {1} times in a JSON list.", "JSON list with {1} times {0}")
        )
        return Task(shape.format(item, times), compact([item] * times))
    parts = words.words(dice, 2, 6)
    gap = dice.choice((" ", ", ", "\n", "; "))
    shape = dice.choice(("Write a JSON list: {0}", "As a JSON list: {0}", "{0}\nMake a JSON list."))
    return Task(shape.format(gap.join(parts)), compact(parts))


def read_field(dice: Dice) -> Task:
    """Give one value of an object."""
    record = {key: str(_value(dice)) for key in dice.sample(words.FIELDS, k=dice.randint(2, 5))}
    wanted = dice.choice(list(record))
    text = compact(record) if dice.random() < 0.5 else json.dumps(record, ensure_ascii=False)
    shape = dice.choice(("{0}\nWhat is {1}?", "Give {1} from {0}", "{1} of this object?\n{0}"))
    return Task(shape.format(text, wanted), record[wanted])


def change_field(dice: Dice) -> Task:
    """Change or drop one field of an object and leave the others."""
    record = _record(dice, 2, 4)
    wanted, shown = dice.choice(list(record)), compact(record)
    if dice.random() < 0.6:
        value = words.word(dice)
        return Task(f"Set {wanted} to {value}: {shown}", compact({**record, wanted: value}))
    del record[wanted]
    return Task(f"Remove {wanted}: {shown}", compact(record))


def from_story(dice: Dice) -> Task:
    """Copy facts out of a noisy text into an object; what the text does not say is null."""
    story = stories.story(dice, 3)
    known = dice.sample(list(story.facts), k=min(len(story.facts), dice.randint(1, 4)))
    missing = [
        key for key in ("name", "city", "code", "email", "date", "item") if key not in story.facts
    ]
    asked = known + dice.sample(missing, k=min(len(missing), dice.choice((0, 0, 1, 1, 2))))
    dice.shuffle(asked)
    listed = dice.choice((", ".join(asked), compact(asked), " ".join(asked)))
    shape = dice.choice(
        (
            "Read the text and write JSON with {0}.\n{1}",
            "{1}\n\nJSON with the fields {0}:",
            "Fields: {0}\nText: {1}\nAnswer in JSON.",
            "Extract {0} as JSON: {1}",
            "Write {0} as JSON, null if missing.\n\n{1}",
        )
    )
    answer = compact({key: story.facts.get(key) for key in asked})
    return Task(shape.format(listed, story.text), answer)


def classify_into_object(dice: Dice) -> Task:
    """Put a word, its sort and its length class into one object."""
    kind = dice.choice(("animal", "fruit", "colour", "tool", "city", "weekday", "month"))
    member = words.any_of(dice, kind)
    parts = [
        dice.choice(words.LINKS),
        dice.choice(words.QUALITIES),
        member,
        dice.choice(words.LINKS),
    ]
    dice.shuffle(parts)
    shape = dice.choice(
        (
            "Find the word with a sort (animal, fruit, colour, tool, city, weekday, month): {0}",
            "Write word and sort as JSON: {0}",
        )
    )
    return Task(shape.format(" ".join(parts)), compact({"word": member, "sort": kind}))


SKILLS = (
    Skill("write an object", 1.0, write_object),
    Skill("write a list", 0.8, write_list),
    Skill("read a field", 1.5, read_field),
    Skill("change a field", 3.0, change_field),
    Skill("facts to JSON", 2.5, from_story),
    Skill("sort to JSON", 0.5, classify_into_object),
)
