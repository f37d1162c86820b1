"""Exercises that find one thing in a text, or say yes or no about it.

Knows nothing of JSON and of conversations with several turns.
"""

from examples.tinybase import stories, words
from examples.tinybase.exercise import Skill, Task
from examples.tinybase.words import Dice

QUESTIONS: dict[str, tuple[str, ...]] = {
    "name": ("Who is it about?", "What is the name?", "Give the name.", "Which person is named?"),
    "city": ("Which city?", "What city is named?", "Where is it?", "Give the city."),
    "item": ("Which item is it?", "What thing is it about?", "Give the item."),
    "colour": ("What colour is it?", "Which colour?", "Give the colour."),
    "day": ("On which day?", "What day is named?", "Give the day."),
    "amount": ("How much does it cost?", "What is the amount?", "Give the price."),
    "code": ("What is the code?", "Find the code.", "Which code is given?", "Give the code only."),
    "date": ("What is the date?", "Give the date.", "On which date?"),
    "email": ("What is the email address?", "Find the email.", "Give the address for mail."),
    "count": ("How many?", "What number is named?", "Give the count."),
}
ABSENT = ("none", "It is not in the text.", "unknown")


def _about(dice: Dice, text: str, question: str) -> str:
    shape = dice.choice(
        (
            "{text}\n{question}",
            "{text}\n\n{question}",
            "{question}\n{text}",
            "Text: {text}\nQuestion: {question}",
            "Read this: {text}\n{question}",
            '"{text}"\n{question}',
            "{question}\n\n---\n{text}\n---",
        )
    )
    return shape.format(text=text, question=question)


def find_fact(dice: Dice) -> Task:
    """Find a name, a place, a price or the like among other sentences."""
    story = stories.story(dice, 2)
    wanted = dice.choice([fact for fact in story.facts if fact != "count"] or list(story.facts))
    return Task(_about(dice, story.text, dice.choice(QUESTIONS[wanted])), story.facts[wanted])


def find_code(dice: Dice) -> Task:
    """Find a code in a text without sense, where only its shape gives it away."""
    needle = words.code(dice)
    parts = words.words(dice, 3, 12)
    parts.insert(dice.randint(0, len(parts)), needle)
    return Task(_about(dice, " ".join(parts), dice.choice(QUESTIONS["code"])), needle)


def find_or_none(dice: Dice) -> Task:
    """Find a fact, or say the agreed word when it is absent."""
    story = stories.story(dice, 2)
    absent = dice.choice(ABSENT)
    wanted = dice.choice(("code", "name", "city", "email", "date"))
    question = f"{dice.choice(QUESTIONS[wanted])} If there is none, say: {absent}"
    return Task(_about(dice, story.text, question), story.facts.get(wanted, absent))


def look_up(dice: Dice) -> Task:
    """Look a key up in a small table."""
    keys = dice.sample(words.FIELDS, k=dice.randint(2, 6))
    values = [words.code(dice) if dice.random() < 0.4 else words.word(dice) for _ in keys]
    mark, gap = dice.choice(((": ", "\n"), (" = ", "\n"), (": ", ", "), ("=", " "), (" -> ", "; ")))
    table = gap.join(f"{key}{mark}{value}" for key, value in zip(keys, values, strict=True))
    wanted = dice.randrange(len(keys))
    question = dice.choice(("What is the {0}?", "Give the {0}.", "{0}?", "Look up: {0}"))
    return Task(_about(dice, table, question.format(keys[wanted])), values[wanted])


def contains(dice: Dice) -> Task:
    """Say whether a word stands in a text."""
    parts = words.words(dice, 2, 4)
    asked = dice.choice(parts) if dice.random() < 0.5 else words.word(dice)
    question = dice.choice(
        (
            "Is the word {0} in the text? Answer yes or no.",
            "Does the text contain {0}? yes or no",
            "Answer yes or no: is {0} in it?",
        )
    )
    answer = "yes" if asked in parts else "no"
    return Task(_about(dice, " ".join(parts), question.format(asked)), answer)


def same(dice: Dice) -> Task:
    """Say whether two texts are the same."""
    left = words.words(dice, 1, 2)
    right = list(left)
    if dice.random() < 0.5:
        right[dice.randrange(len(right))] = words.word(dice)
    shape = dice.choice(
        ("Are these the same? {0} / {1}", "Same or not?\n{0}\n{1}", "A: {0}\nB: {1}\nSame?")
    )
    return Task(shape.format(" ".join(left), " ".join(right)), "yes" if left == right else "no")


def is_a(dice: Dice) -> Task:
    """Say what sort of thing a word names, or whether it is of a given sort."""
    kinds = ("animal", "fruit", "colour", "tool", "city", "weekday", "month", "name")
    kind = dice.choice(kinds)
    member = words.any_of(dice, kind)
    if dice.random() < 0.5:
        asked = kind if dice.random() < 0.5 else dice.choice(kinds)
        article = "an" if asked[0] in "aeiou" else "a"
        shape = dice.choice(("Is {0} {1} {2}? Answer yes or no.", "yes or no: is {0} {1} {2}?"))
        return Task(shape.format(member, article, asked), "yes" if asked == kind else "no")
    options = [kind, *dice.sample([k for k in kinds if k != kind], k=dice.randint(1, 3))]
    dice.shuffle(options)
    shape = dice.choice(
        ("What is {0}? Options: {1}", "{1}: which of these is {0}?", "{0} - choose: {1}")
    )
    return Task(shape.format(member, ", ".join(options)), kind)


def odd_kind(dice: Dice) -> Task:
    """Give the one word of a sort among words of other sorts."""
    wanted, *others = dice.sample(
        ["animal", "fruit", "colour", "tool", "city", "weekday", "month"], k=4
    )
    parts = [words.any_of(dice, kind) for kind in (wanted, *others)]
    answer = parts[0]
    dice.shuffle(parts)
    shape = dice.choice(
        ("Which of these is the {0}? {1}", "Find the {0}: {1}", "{1}\nGive the {0}.")
    )
    return Task(shape.format(wanted, ", ".join(parts)), answer)


SKILLS = (
    Skill("find a fact", 1.5, find_fact),
    Skill("find a code", 1.0, find_code),
    Skill("find or none", 1.0, find_or_none),
    Skill("look up", 1.0, look_up),
    Skill("contains", 4.0, contains),
    Skill("same", 4.0, same),
    Skill("sort of thing", 4.5, is_a),
    Skill("odd one", 0.5, odd_kind),
)
