"""Exercises with numbers and order: sums, counting, comparing, sorting.

Knows nothing of JSON and of conversations with several turns.
"""

from examples.tinybase import words
from examples.tinybase.exercise import Skill, Task
from examples.tinybase.words import Dice


def small_sum(dice: Dice) -> Task:
    """Add two numbers up to ten, or take one from the other."""
    left, right = dice.randint(0, 10), dice.randint(0, 9)
    if dice.random() < 0.6:
        shape = dice.choice(
            ("{0} + {1} =", "What is {0} + {1}?", "Add {0} and {1}.", "{0} plus {1}?")
        )
        return Task(shape.format(left, right), str(left + right))
    left, right = max(left, right), min(left, right)
    shape = dice.choice(("{0} - {1} =", "What is {0} - {1}?", "{0} minus {1}?"))
    return Task(shape.format(left, right), str(left - right))


def count_words(dice: Dice) -> Task:
    """Count the words, or how often one of them stands there."""
    parts = words.words(dice, 1, 5)
    if dice.random() < 0.6:
        shape = dice.choice(
            ("How many words? {0}", "Count the words: {0}", "{0}\nNumber of words?")
        )
        return Task(shape.format(" ".join(parts)), str(len(parts)))
    target = parts[0]
    parts += [target] * dice.randint(0, 3)
    dice.shuffle(parts)
    shape = dice.choice(("How often is {0} in this: {1}", "Count {0} in: {1}"))
    return Task(shape.format(target, " ".join(parts)), str(parts.count(target)))


def larger(dice: Dice) -> Task:
    """Give the larger or the smaller of two numbers."""
    digits = dice.randint(1, 3)
    left, right = words.number(dice, digits), words.number(dice, dice.choice((digits, digits, 2)))
    if left == right:
        right += 1
    largest = dice.random() < 0.5
    ask = dice.choice(("larger", "bigger", "greater")) if largest else "smaller"
    shape = dice.choice(
        ("Which is {0}: {1} or {2}?", "{1} and {2}: give the {0} one", "The {0} of {1}, {2}?")
    )
    return Task(
        shape.format(ask, left, right), str(max(left, right) if largest else min(left, right))
    )


def sort_words(dice: Dice) -> Task:
    """Sort words with different initials, or small numbers."""
    if dice.random() < 0.5:
        initials: dict[str, str] = {}
        while len(initials) < 2:
            found = words.known_word(dice)
            initials.setdefault(found[0], found)
        parts, order = list(initials.values()), sorted(initials.values())
    else:
        row = dice.sample(range(100), k=dice.randint(2, 3))
        parts, order = [str(n) for n in row], [str(n) for n in sorted(row)]
    shape = dice.choice(("Sort: {0}", "Put in order: {0}", "{0}\nSort them."))
    return Task(shape.format(", ".join(parts)), ", ".join(order))


SKILLS = (
    Skill("small sum", 4.0, small_sum),
    Skill("count", 3.0, count_words),
    Skill("larger", 1.5, larger),
    Skill("sort", 3.5, sort_words),
)
