"""Everyday sentences with facts in them: background text, and the hay that needles hide in.

Knows what each sentence states; asks no questions about it.
"""

from dataclasses import dataclass

from examples.tinybase import words
from examples.tinybase.words import Dice

PLAIN = (
    "The weather was {quality} this morning.",
    "I hope you are well.",
    "Thanks for your time.",
    "We walked to the {thing} and back.",
    "My {thing} is {quality}, but I do not mind.",
    "Did you see the {quality} {thing}?",
    "Nobody knows why the {thing} is {quality}.",
    "It was a long day and I am tired.",
    "Please write back when you can.",
    "There are {count} {thing}s in the {thing2}.",
    "Every {weekday} we {action} the {thing}.",
    "I would like to {action} the {thing}, if I may.",
    "You should not {action} a {quality} {thing}.",
    "My sister thinks that the {thing} looks {quality}.",
    "The {thing} next to the {thing2} is {quality}.",
    "hi there, just a quick note",
    "Sorry for the late answer!",
    "Is it true that the {thing} was {quality} in {month}?",
    "They could not {action} the {thing} yesterday.",
    "I have been waiting since {weekday}.",
    "Can somebody help me to {action} this {thing}?",
    "The first {count} pages were about a {quality} {thing}.",
    "What a {quality} {thing} that is!",
    "He said that it will not happen again.",
    "We do not have a {thing}, but we have a {thing2}.",
    "Let me know what you think.",
    "ok so I tried to {action} it and it still does not work",
    "My neighbour has {count} {thing}s and one {animal}.",
    "The {animal} ate the {fruit} before we could {action} it.",
    "Call me on {weekday}, or better on {weekday2}.",
    "If the {thing} is {quality}, {action} it; if not, leave it.",
    "She would rather {action} a {thing} than {action2} a {thing2}.",
    "In {city} the {thing}s are {quality} and the {thing2}s are not.",
)

FACTS = (
    "{name} lives in {city}.",
    "{name} from {city} has a {colour} {item}.",
    "The {item} of {name} is {colour}.",
    "On {day} {name} went to {city} with a {item}.",
    "{name} took the {colour} {item} to {city} on {day}.",
    "{name} paid {amount} for the {item}.",
    "My name is {name} and I live in {city}.",
    "hello, this is {name} writing from {city} about a {item}",
    "The code for the {item} is {code}.",
    "{name} wrote down {code} on {date}.",
    "Use {code} to open the {item}.",
    "You can reach {name} at {email}.",
    "The {colour} {item} costs {amount} in {city}.",
    "On {date} the {item} arrived in {city} with the number {code}.",
    "{name} sent {count} letters to {email}.",
    "{name} bought {count} {item}s on {day}, all of them {colour}.",
    "Regards, {name} ({email})",
    "ref {code}, {date}, {city}",
    "I met {name} on {day}; the {item} cost {amount}.",
    "We will come to {city} on {date}.",
    "The {item} was {colour}, its code was {code} and {name} had it.",
    "{day}: {name}, {city}, {count} people",
)


@dataclass(frozen=True, slots=True)
class Story:
    """A few sentences and the facts that stand in them."""

    text: str
    """The sentences, in the order in which they were told."""
    facts: dict[str, str]
    """What was stated, by field; each field is stated once."""


def plain_sentence(dice: Dice) -> str:
    """Tell something that nobody will ask about."""
    return dice.choice(PLAIN).format(
        quality=dice.choice(words.QUALITIES),
        thing=dice.choice(words.THINGS),
        thing2=dice.choice(words.THINGS),
        action=dice.choice(words.ACTIONS),
        action2=dice.choice(words.ACTIONS),
        count=dice.randint(2, 40),
        weekday=words.any_of(dice, "weekday"),
        weekday2=words.any_of(dice, "weekday"),
        month=words.any_of(dice, "month"),
        animal=words.any_of(dice, "animal"),
        fruit=words.any_of(dice, "fruit"),
        city=words.any_of(dice, "city"),
    )


def _values(dice: Dice) -> dict[str, str]:
    item = dice.choice(words.THINGS) if dice.random() < 0.7 else words.made_up_word(dice).lower()
    name = words.any_of(dice, "name") if dice.random() < 0.7 else words.made_up_word(dice)
    city = words.any_of(dice, "city") if dice.random() < 0.7 else words.made_up_word(dice)
    amount = f"{dice.randint(1, 400)}{dice.choice(('', '.50', '.99', '.05'))}"
    return {
        "name": name.capitalize(),
        "city": city.capitalize(),
        "item": item,
        "colour": words.any_of(dice, "colour"),
        "day": words.any_of(dice, "weekday"),
        "amount": dice.choice(
            (f"{amount} euros", f"${amount}", f"{amount} dollars", f"EUR {amount}")
        ),
        "code": words.code(dice),
        "date": words.date(dice),
        "email": words.email(dice),
        "count": str(dice.randint(2, 60)),
    }


def story(dice: Dice, noise: int = 3) -> Story:
    """Tell one or two facts among at most `noise` idle sentences."""
    values = _values(dice)
    chosen = [dice.choice(FACTS)]
    second = dice.choice(FACTS)
    if not _slots(second) & _slots(chosen[0]):
        chosen.append(second)
    told = [template.format(**values) for template in chosen]
    told += [plain_sentence(dice) for _ in range(dice.randint(0, noise))]
    dice.shuffle(told)
    stated = set().union(*(_slots(template) for template in chosen))
    return Story(" ".join(told), {field: values[field] for field in values if field in stated})


def letter(dice: Dice) -> str:
    """Write a page of everyday text, to be read and not to be asked about."""
    return "\n".join(story(dice, 5).text for _ in range(dice.randint(2, 6)))


def _slots(template: str) -> set[str]:
    return {piece.split("}")[0] for piece in template.split("{")[1:]}
