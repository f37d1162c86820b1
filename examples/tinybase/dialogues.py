"""Exercises over a whole conversation: memory, system messages, examples to follow, tools.

Builds on the single questions of the other rooms; knows nothing of tokens.
"""

from collections.abc import Callable

from examples.tinybase import copying, counting, finding, objects, stories, words
from examples.tinybase.exercise import Exercise, Message, Skill, Task, said
from examples.tinybase.words import Dice

GREETINGS = (
    ("hello", "Hello! How can I help?"),
    ("hi", "Hello! How can I help?"),
    ("good morning", "Good morning! How can I help?"),
    ("thanks", "You are welcome."),
    ("thank you", "You are welcome."),
    ("bye", "Goodbye!"),
    ("who are you", "I am a tiny language model. I was built to test Graftline."),
    ("what are you", "I am a tiny language model. I was built to test Graftline."),
    ("what can you do", "I can copy, find, count and write JSON. I am very small."),
    ("tell me a joke", "I am too small for jokes."),
    ("how are you", "I am fine. How can I help?"),
)
SIMPLE: tuple[Callable[[Dice], Task], ...] = (
    copying.copy, copying.pick, copying.replace, finding.find_fact, finding.look_up,
    finding.find_code, counting.small_sum, objects.write_list,
)  # fmt: skip
PATTERNS: tuple[Callable[[str], str], ...] = (
    lambda text: text.split()[0],
    lambda text: text.split()[-1],
    lambda text: f"({text})",
    lambda text: f"{text}!",
    lambda text: objects.compact({"text": text}),
    lambda text: objects.compact(text.split()),
    lambda text: objects.compact({"first": text.split()[0], "last": text.split()[-1]}),
    lambda text: "-".join(text.split()),
    lambda text: f"{text} {text}",
    lambda text: f"<{text.split()[0]}>",
)


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ('Answer as JSON with the key "answer".', lambda text: objects.compact({"answer": text})),
    ("Put each answer into a JSON object.", lambda text: objects.compact({"answer": text})),
    ("End each answer with over.", lambda text: f"{text} over"),
    ("Say over at the end.", lambda text: f"{text} over"),
    ("Put each answer in square brackets.", lambda text: f"[{text}]"),
    ("Use [brackets] around answers.", lambda text: f"[{text}]"),
    ("Start each answer with Answer:", lambda text: f"Answer: {text}"),
    ("Begin with the word Answer:", lambda text: f"Answer: {text}"),
)


def greet(dice: Dice) -> Exercise:
    """Be polite."""
    said_, answer = dice.choice(GREETINGS)
    start = dice.choice((said_, said_.capitalize(), said_.upper()))
    question = start + dice.choice(("", "!", ".", "?", " there", ", model"))
    return Exercise("greeting", [said("user", question), said("assistant", answer)])


def recall(dice: Dice) -> Exercise:
    """Remember what was said some turns ago."""
    story = stories.story(dice, 1)
    wanted = dice.choice(list(story.facts))
    messages = [
        said("user", f"{dice.choice(('Remember this', 'Note'))}: {story.text}"),
        said("assistant", "OK."),
    ]
    for _ in range(dice.randint(0, 2)):
        messages += _turns(dice.choice(SIMPLE)(dice))
    asked = dice.choice(finding.QUESTIONS[wanted])
    question = dice.choice(
        ("From what I told you: {0}", "Do you remember? {0}", "Now back to my note. {0}")
    )
    messages += [said("user", question.format(asked)), said("assistant", story.facts[wanted])]
    return Exercise("recall", messages)


def several_turns(dice: Dice) -> Exercise:
    """Answer one question after another."""
    # The long ones teach positions that a prompt with several worked examples reaches.
    number = dice.randint(2, 4) if dice.random() < 0.85 else dice.randint(8, 18)
    turns = [_turns(dice.choice(SIMPLE)(dice)) for _ in range(number)]
    return Exercise("several turns", [message for turn in turns for message in turn])


def obey_system(dice: Dice) -> Exercise:
    """Follow a rule about the form of all answers."""
    rule, apply = dice.choice(RULES)
    messages = [said("system", rule)]
    for _ in range(dice.randint(1, 2)):
        task = dice.choice((copying.copy, copying.pick, finding.find_code, finding.find_fact))(dice)
        messages += _turns(Task(task.question, apply(task.answer)))
    return Exercise("system rule", messages)


def follow_pattern(dice: Dice) -> Exercise:
    """See a few examples of a rule that nobody states, and apply it to one more."""
    pattern = dice.choice(PATTERNS)
    rows = [" ".join(words.words(dice, 2, 4)) for _ in range(dice.randint(3, 5))]
    return _shots(dice, "few-shot pattern", [(row, pattern(row)) for row in rows])


def follow_labels(dice: Dice) -> Exercise:
    """See a few labelled words and label one more, with labels that mean nothing."""
    sorts = dice.sample(["animal", "fruit", "colour", "tool", "city", "weekday", "month"], k=2)
    labels = {kind: words.made_up_word(dice) for kind in sorts}
    picked = [*sorts, *sorts, dice.choice(sorts)]
    shots = [(words.any_of(dice, kind), labels[kind]) for kind in picked]
    return _shots(dice, "few-shot labels", shots)


def follow_extraction(dice: Dice) -> Exercise:
    """See facts drawn out of texts into objects, and do the same once more."""
    asked = dice.sample(["name", "city", "code", "item", "email", "date"], k=dice.randint(1, 3))
    shots = []
    for _ in range(dice.randint(2, 5)):
        story = stories.story(dice, 2)
        shots.append((story.text, objects.compact({key: story.facts.get(key) for key in asked})))
    return _shots(dice, "few-shot extraction", shots)


def call_tool(dice: Dice) -> Exercise:
    """Call the tool that was asked for, or tell what it gave back."""
    names = [
        f"{dice.choice(words.ACTIONS)}_{dice.choice(words.THINGS)}"
        for _ in range(dice.randint(1, 3))
    ]
    fields = [dice.choice(("city", "name", "code", "item")) for _ in names]
    tools = [_tool(name, key) for name, key in zip(names, fields, strict=True)]
    chosen, value = dice.randrange(len(names)), words.word(dice)
    verb, thing = names[chosen].split("_")
    question = dice.choice(
        ("Please {0} the {1} for {2}.", "{0} {1}: {2}", "Can you {0} a {1}? {3} is {2}")
    )
    call = {
        "type": "function",
        "function": {"name": names[chosen], "arguments": {fields[chosen]: value}},
    }
    messages: list[Message] = [
        said("user", question.format(verb, thing, value, fields[chosen])),
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    if dice.random() < 0.5:
        result = words.phrase(dice, 1, 3)
        messages += [
            said("tool", objects.compact({"result": result})),
            said("assistant", f"The result is: {result}"),
        ]
    return Exercise("tool call", messages, tools)


def _tool(name: str, field: str) -> dict[str, object]:
    parameters = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    about = name.replace("_", " ")
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": parameters},
    }


def _turns(task: Task) -> list[Message]:
    return [said("user", task.question), said("assistant", task.answer)]


def _shots(dice: Dice, kind: str, shots: list[tuple[str, str]]) -> Exercise:
    """Show all pairs but the last, as turns or inside one message, and ask for the last."""
    if dice.random() < 0.5:
        turns = [message for text, answer in shots for message in _turns(Task(text, answer))]
        return Exercise(kind, turns)
    left, right = dice.choice((("Input", "Output"), ("Text", "Answer"), ("Q", "A"), ("in", "out")))
    shown = "\n\n".join(f"{left}: {text}\n{right}: {answer}" for text, answer in shots[:-1])
    text, answer = shots[-1]
    start = dice.choice(("", "Follow the examples.\n\n", "Do the same with the last one.\n\n"))
    question = f"{start}{shown}\n\n{left}: {text}\n{right}:"
    return Exercise(kind, _turns(Task(question, answer)))


SKILLS = (
    Skill("greeting", 0.2, greet),
    Skill("recall", 1.2, recall),
    Skill("several turns", 1.2, several_turns),
    Skill("system rule", 1.2, obey_system),
    Skill("few-shot pattern", 0.8, follow_pattern),
    Skill("few-shot labels", 1.5, follow_labels),
    Skill("few-shot extraction", 1.2, follow_extraction),
    Skill("tool call", 1.5, call_tool),
)
