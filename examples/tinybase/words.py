"""The words and numbers that exercises are made of, and how chance picks them.

Knows nothing of questions, of chat or of tokens.
"""

import random
import string

Dice = random.Random


def _listed(text: str) -> list[str]:
    return text.split()


KINDS: dict[str, list[str]] = {
    "animal": _listed(
        "cat dog horse cow sheep goat fox wolf bear mouse rabbit lion tiger duck goose owl eagle "
        "frog snake whale shark seal camel donkey pig hen bee ant spider turtle"
    ),
    "fruit": _listed(
        "apple pear plum cherry grape lemon orange banana mango peach melon fig kiwi lime berry "
        "apricot papaya coconut date"
    ),
    "colour": _listed(
        "red blue green yellow purple pink brown black white grey orange gold silver"
    ),
    "tool": _listed(
        "hammer saw drill wrench pliers axe shovel rake chisel ladder screwdriver file spanner "
        "clamp brush"
    ),
    "city": _listed(
        "Paris London Rome Madrid Berlin Vienna Oslo Lisbon Dublin Prague Athens Cairo Tokyo "
        "Delhi Lima Boston Chicago Toronto Sydney Nairobi Lagos Seoul Hanoi Bern Kyiv"
    ),
    "name": _listed(
        "Ann Ben Carla David Emma Frank Grace Henry Iris Jack Kate Leo Maria Nina Oscar Paul "
        "Quinn Rosa Sam Tina Uma Victor Wendy Xavier Yara Zoe Ali Mehmet Chen Priya Omar Sofia "
        "Ivan Lucy Marco Olga Pedro Ruth Tom Vera Jonas Hanna Igor Elif"
    ),
    "weekday": _listed("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    "month": _listed(
        "January February March April May June July August September October November December"
    ),
}
"""Words by what they mean: the only knowledge of the world that is taught."""

THINGS = _listed(
    "table chair lamp door window house garden river road bridge train ship car bike wheel book "
    "pen paper letter box bag coat shoe hat ring clock phone screen cable key lock cup plate "
    "spoon knife bottle glass bread cheese soup cake sugar salt tea coffee milk water stone sand "
    "tree leaf flower seed field hill cloud rain snow wind fire smoke light shadow sound song "
    "drum piano camera radio engine battery machine market shop school office library museum "
    "station airport hotel kitchen room wall roof floor stairs ticket map picture story game ball "
    "printer keyboard mirror blanket pillow basket candle tent rope boat parcel invoice number "
    "price team"
)

ACTIONS = _listed(
    "take make find lose open close move carry bring send keep give hold read write draw sing "
    "paint build break repair clean wash cook bake eat drink buy sell count check test start stop "
    "follow lead push pull turn watch hear see know think ask answer help wait rest sleep walk "
    "run climb swim fly drive ride visit leave return order change cancel charge use need want "
    "like"
)

QUALITIES = _listed(
    "big small old new long short high low wide narrow heavy light fast slow hot cold warm cool "
    "dry wet clean dirty full empty open quiet loud soft hard sharp round flat deep thin thick "
    "good bad nice fine rich poor strong weak young early late easy simple strange broken missing"
)

LINKS = _listed(
    "the a an and or but with without from into over under near behind before after while because "
    "when where then there here very too also only just still again never always often soon now"
)

FIELDS = _listed(
    "name city age colour code item size price date day owner team room floor weight length email "
    "phone status level type count total amount note title author year month key value serial "
    "model street country language currency quantity source target unit label speed"
)


def any_of(dice: Dice, kind: str) -> str:
    """Pick a word of one meaning."""
    return dice.choice(KINDS[kind])


def known_word(dice: Dice) -> str:
    """Pick an ordinary English word."""
    return dice.choice(dice.choice((THINGS, THINGS, ACTIONS, QUALITIES, LINKS)))


def made_up_word(dice: Dice) -> str:
    """Invent a word that can be pronounced, so that copying cannot be done by memory."""
    sounds = [_listed("b c d f g h j k l m n p r s t v w z br st tr ch"), list("aeiou")]
    word = "".join(dice.choice(sounds[i % 2]) for i in range(dice.randint(3, 7)))
    return word.capitalize() if dice.random() < 0.3 else word


def word(dice: Dice) -> str:
    """Pick a word: mostly known, sometimes invented."""
    roll = dice.random()
    if roll < 0.7:
        return known_word(dice)
    if roll < 0.85:
        return made_up_word(dice)
    return any_of(dice, dice.choice(list(KINDS)))


def words(dice: Dice, low: int, high: int) -> list[str]:
    """Pick between `low` and `high` words that all differ."""
    wanted = dice.randint(low, high)
    found: dict[str, None] = {}
    while len(found) < wanted:
        found[word(dice)] = None
    return list(found)


def number(dice: Dice, digits: int) -> int:
    """Pick a number of exactly that many digits."""
    return dice.randint(10 ** (digits - 1), 10**digits - 1)


def code(dice: Dice) -> str:
    """Invent a code, such as `AB-4821`, `#90113`, `7f3k9` or `Q7-11-X`."""
    letters = "".join(dice.choices(string.ascii_uppercase, k=dice.randint(1, 4)))
    digits = "".join(dice.choices(string.digits, k=dice.randint(2, 7)))
    mixed = "".join(dice.choices(string.ascii_lowercase + string.digits, k=dice.randint(4, 8)))
    shapes = (
        f"{letters}-{digits}",
        f"{letters}{digits}",
        f"#{digits}",
        digits,
        mixed,
        f"{letters}_{digits}",
        f"{digits}-{letters}",
        f"{letters}-{digits[:2]}-{dice.choice(string.ascii_uppercase)}",
        f"{letters.lower()}-{digits}",
    )
    return dice.choice(shapes)


def email(dice: Dice) -> str:
    """Invent an address under a domain that is reserved for examples."""
    left = any_of(dice, "name").lower() if dice.random() < 0.6 else made_up_word(dice).lower()
    tail = dice.choice(("", str(dice.randint(1, 99)), f".{made_up_word(dice).lower()}"))
    return f"{left}{tail}@{dice.choice(('example.com', 'example.org', 'example.net', 'mail.test'))}"


def date(dice: Dice) -> str:
    """Invent a date in one of several forms."""
    day, month, year = dice.randint(1, 28), dice.randint(1, 12), dice.randint(1990, 2031)
    return dice.choice(
        (
            f"{year}-{month:02}-{day:02}",
            f"{day} {KINDS['month'][month - 1]} {year}",
            f"{day:02}.{month:02}.{year}",
            f"{KINDS['month'][month - 1]} {day}",
        )
    )


def phrase(dice: Dice, low: int = 2, high: int = 8) -> str:
    """String together some words, now and then with a number, a code or a comma among them."""
    parts = words(dice, low, high)
    for position in range(len(parts)):
        roll = dice.random()
        if roll < 0.05:
            parts[position] = code(dice)
        elif roll < 0.08:
            parts[position] = str(dice.randint(0, 999))
        elif roll < 0.12 and position < len(parts) - 1:
            parts[position] += ","
    return " ".join(parts)
