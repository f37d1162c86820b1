"""The tokenizer: how it is learnt from text, and how a conversation becomes tokens.

Knows nothing of the model.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from examples.tinybase.exercise import Exercise, Message

PAD, START, END = "<|pad|>", "<|im_start|>", "<|im_end|>"
CALL, CALL_END = "<tool_call>", "</tool_call>"
LONGEST_TOKENS = 2048
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
CALL_HINT = 'To call one, write <tool_call>{"name": ..., "arguments": ...}</tool_call>'


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that is either learnt or only read."""

    text: str
    """The text as the chat template writes it."""
    learnt: bool
    """Whether the model must be able to write it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One training sequence."""

    ids: list[int]
    """Token ids."""
    learnt: list[bool]
    """For each token, whether it carries loss."""


def learn_tokenizer(texts: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE of `size` tokens in which each digit stands alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 2,  # the two tool marks come on top
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(
        [AddedToken(CALL, normalized=False), AddedToken(CALL_END, normalized=False)]
    )
    return _dressed(tokenizer)


def read_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Read the tokenizer that an earlier build learnt."""
    return _dressed(Tokenizer.from_file(str(folder / "tokenizer.json")))


def _dressed(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[START],
        model_max_length=LONGEST_TOKENS,
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE.read_text(),
    )


def rows(tokenizer: PreTrainedTokenizerFast, exercises: list[Exercise]) -> list[Row]:
    """Turn conversations into sequences; each assistant turn and its end mark carry loss."""
    pieces = [_pieces(exercise) for exercise in exercises]
    flat = tokenizer.backend_tokenizer.encode_batch_fast(
        [piece.text for row in pieces for piece in row], add_special_tokens=False
    )
    encoded = iter(flat)
    return [_join(row, [next(encoded).ids for _ in row]) for row in pieces]


def _join(pieces: list[Piece], ids: list[list[int]]) -> Row:
    learnt = [piece.learnt for piece, part in zip(pieces, ids, strict=True) for _ in part]
    return Row([token for part in ids for token in part], learnt)


def _pieces(exercise: Exercise) -> list[Piece]:
    """Write what the chat template writes, some fifty times faster; a check compares them."""
    messages = exercise.messages
    system = messages[0]["content"] if messages[0]["role"] == "system" else ""
    if exercise.tools:
        shown = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in exercise.tools)
        system += ("\n\n" if system else "") + f"# Tools\n{shown}\n{CALL_HINT}"
    head = f"{START}system\n{system}{END}\n" if system else ""
    found: list[Piece] = []
    for message in messages[1:] if messages[0]["role"] == "system" else messages:
        if message["role"] == "assistant":
            found.append(Piece(f"{head}{START}assistant\n", learnt=False))
            found.append(Piece(_answer(message) + END, learnt=True))
            head = "\n"
        else:
            head += f"{START}{message['role']}\n{message['content']}{END}\n"
    return found


def _answer(message: Message) -> str:
    text = str(message["content"])
    for call in message.get("tool_calls", []):
        function = call["function"]
        arguments = json.dumps(function["arguments"], ensure_ascii=False)
        text += f'{CALL}\n{{"name": "{function["name"]}", "arguments": {arguments}}}\n{CALL_END}'
    return text


def check_rows(tokenizer: PreTrainedTokenizerFast, exercises: list[Exercise]) -> None:
    """Compare our writing with the chat template's, token by token.

    Raises:
        ValueError: they differ.
    """
    for exercise, row in zip(exercises, rows(tokenizer, exercises), strict=True):
        wanted = tokenizer.apply_chat_template(
            exercise.messages,
            tools=exercise.tools or None,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        # The template also writes the line break after the last turn; nothing is learnt from it.
        if wanted["input_ids"][: len(row.ids)] != row.ids:
            raise ValueError(tokenizer.decode(row.ids))
        if wanted["assistant_masks"][: len(row.ids)] != [int(flag) for flag in row.learnt]:
            raise ValueError(tokenizer.decode(row.ids))
