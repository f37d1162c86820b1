"""All skills in their shares, and the line between what is taught and what is examined.

Knows nothing of tokens and of the model.
"""

import itertools
import zlib
from collections.abc import Iterator

from examples.tinybase import copying, counting, dialogues, finding, objects
from examples.tinybase.exercise import Exercise, Skill, said
from examples.tinybase.words import Dice

SKILLS: tuple[Skill, ...] = (
    *copying.SKILLS,
    *finding.SKILLS,
    *counting.SKILLS,
    *objects.SKILLS,
    *dialogues.SKILLS,
)
EXAM_ONE_IN = 40
"""One prompt in so many, chosen by its hash, is never taught: the exam takes those only."""
PERSONA_SHARE = 0.2
PERSONAS = (
    "You are a helpful assistant.",
    "You are a small model.",
    "Be brief.",
    "Answer the question.",
    "You help the user. Follow the instructions.",
)


def lessons(seed: int) -> Iterator[Exercise]:
    """Set exercises without end, none of them with a prompt that the exam may take."""
    dice = Dice(seed)
    weights = list(itertools.accumulate(skill.weight for skill in SKILLS))
    while True:
        skill = dice.choices(SKILLS, cum_weights=weights)[0]
        exercise = _set(skill, dice)
        if not _belongs_to_exam(exercise):
            yield _addressed(exercise, dice)


def exam(seed: int, rows_per_skill: int) -> list[Exercise]:
    """Set an exam with the same number of rows for each skill, none of them ever taught."""
    dice = Dice(seed)
    rows: dict[str, Exercise] = {}
    for skill in SKILLS:
        for _ in range(rows_per_skill):
            exercise = _unseen(skill, dice)
            rows[exercise.prompt_key] = _addressed(exercise, dice)
    return list(rows.values())


def _unseen(skill: Skill, dice: Dice) -> Exercise:
    while not _belongs_to_exam(exercise := _set(skill, dice)):
        pass
    return exercise


def _belongs_to_exam(exercise: Exercise) -> bool:
    return zlib.crc32(exercise.prompt_key.encode()) % EXAM_ONE_IN == 0


def _set(skill: Skill, dice: Dice) -> Exercise:
    made = skill.make(dice)
    if isinstance(made, Exercise):
        return made
    return Exercise(skill.kind, [said("user", made.question), said("assistant", made.answer)])


def _addressed(exercise: Exercise, dice: Dice) -> Exercise:
    """Put one of the usual idle system messages in front, now and then."""
    if exercise.messages[0]["role"] != "system" and dice.random() < PERSONA_SHARE:
        exercise.messages.insert(0, said("system", dice.choice(PERSONAS)))
    return exercise
