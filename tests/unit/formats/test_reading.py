"""Formats: the same conversation, however it is written, is the same row."""

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry.chatdata import Row
from registry.errors import InvalidData
from registry.formats.reading import check_file, read_rows, recognise

TURNS = [
    {"role": "user", "content": "What's 1, 2?"},
    {"role": "assistant", "content": 'It\'s "3".'},
]
CHATML = "".join(f"<|im_start|>{t['role']}\n{t['content']}<|im_end|>\n" for t in TURNS)
QUESTION, ANSWER = TURNS[0]["content"], TURNS[1]["content"]


def lines(*values: Any) -> bytes:
    """Return JSONL."""
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def table(**columns: Any) -> bytes:
    """Return Parquet."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


CONTENTS: dict[str, tuple[str, bytes]] = {
    "chat": ("chat rows in JSONL", lines({"messages": TURNS})),
    "alpaca": (
        "alpaca rows in JSONL",
        lines({"instruction": QUESTION, "input": "", "output": ANSWER, "id": 7}),
    ),
    "sharegpt": (
        "sharegpt rows in JSONL",
        lines(
            {
                "conversations": [
                    {"from": "human", "value": QUESTION},
                    {"from": "gpt", "value": ANSWER},
                ]
            }
        ),
    ),
    "chatml": ("chatml rows in JSONL", lines({"text": CHATML})),
    "pairs": ("question-answer rows in JSONL", lines({"question": QUESTION, "answer": ANSWER})),
    "csv": (
        "question-answer rows in CSV",
        b'\xef\xbb\xbfId,Question,Answer\r\n1,"What\'s 1, 2?","It\'s ""3""."\r\n',
    ),
    "semicolons": (
        "alpaca rows in CSV",
        b'instruction;output\n"What\'s 1, 2?";"It\'s ""3""."\n',
    ),
    "tabs": ("question-answer rows in CSV", b'prompt\tresponse\nWhat\'s 1, 2?\t"It\'s ""3""."\n'),
    "csv of messages": (
        "chat rows in CSV",
        b'messages\n"' + json.dumps(TURNS).replace('"', '""').encode() + b'"\n',
    ),
    "parquet": ("chat rows in Parquet", table(messages=[TURNS])),
    "parquet of columns": (
        "question-answer rows in Parquet",
        table(question=[QUESTION], answer=[ANSWER], score=[0.5]),
    ),
}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[bytes], Path]:
    """Return what stores content as the service does: under a name that tells nothing."""

    def store(content: bytes) -> Path:
        path = tmp_path / "file-0123"
        path.write_bytes(content)
        return path

    return store


@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_is_the_same_row(name: str, stored: Callable[[bytes], Path]) -> None:
    """The format is recognised from the content alone, and the conversation is read from it."""
    said, content = CONTENTS[name]
    path = stored(content)
    assert str(recognise(path)) == said
    assert [row.messages for row in read_rows(path)] == [TURNS]


@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_may_be_packed(name: str, stored: Callable[[bytes], Path]) -> None:
    """Gzip changes nothing but what is said."""
    said, content = CONTENTS[name]
    path = stored(gzip.compress(content))
    assert str(recognise(path)) == f"{said}, packed with gzip"
    assert [row.messages for row in read_rows(path)] == [TURNS]


def test_reading_changes_no_byte(stored: Callable[[bytes], Path]) -> None:
    """The file stays what was uploaded."""
    content = CONTENTS["csv"][1]
    path = stored(content)
    check_file(path)
    assert path.read_bytes() == content


def test_a_record_is_named_by_the_line_it_begins_on(stored: Callable[[bytes], Path]) -> None:
    """A cell with line breaks does not shift the lines that follow."""
    path = stored(b'prompt,completion\n"a\nb\nc",d\n\ne,f\n')
    assert [row.line for row in read_rows(path)] == [2, 6]


def test_an_input_follows_the_instruction(stored: Callable[[bytes], Path]) -> None:
    """Alpaca's `input` is part of the question, and `system` comes before it."""
    path = stored(
        lines({"instruction": "Add.", "input": "1 2", "output": "3", "system": "Be terse."})
    )
    (row,) = read_rows(path)
    assert row.messages is not None
    assert [message["content"] for message in row.messages] == ["Be terse.", "Add.\n\n1 2", "3"]


def test_a_conversation_keeps_tools_and_weights(stored: Callable[[bytes], Path]) -> None:
    """ShareGPT's tools may be text, and a muted turn stays muted."""
    turns = [
        {"from": "human", "value": "a"},
        {"from": "gpt", "value": "b", "weight": 0},
        {"from": "human", "value": "c"},
        {"from": "gpt", "value": "d"},
    ]
    (row,) = read_rows(stored(lines({"conversations": turns, "tools": '[{"type": "function"}]'})))
    assert row.tools == [{"type": "function"}]
    assert row.messages is not None
    assert row.messages[1]["weight"] == 0


def test_prompts_and_completions_stay_what_they_are(stored: Callable[[bytes], Path]) -> None:
    """A table of prompts and completions is no conversation: no template is put around it."""
    (row,) = read_rows(stored(b"prompt,completion\n1+1=,2\n"))
    assert row == Row(line=2, prompt="1+1=", completion="2")


def test_arrows_empty_fields_are_left_out(stored: Callable[[bytes], Path]) -> None:
    """A struct has every field in every row; what is null there was never written."""
    turns = [
        {"role": "user", "content": "a", "weight": None},
        {"role": "assistant", "content": "b", "weight": 1},
    ]
    (row,) = read_rows(stored(table(messages=[turns])))
    assert row.messages == [{"role": "user", "content": "a"}, turns[1]]


def test_all_faults_of_a_table_are_told_at_once(stored: Callable[[bytes], Path]) -> None:
    """A table is mended once, not once for each line."""
    with pytest.raises(InvalidData) as caught:
        check_file(stored(b"prompt,completion\na,b\nc,\nd,e,f\ng,h\n"))
    assert [fault.line for fault in caught.value.faults] == [3, 4]


def test_faults_before_a_broken_end_are_told_too(stored: Callable[[bytes], Path]) -> None:
    """Where a file cannot be read on, what was wrong before is not forgotten."""
    with pytest.raises(InvalidData) as caught:
        check_file(stored(b'prompt,completion\na,\nb,"c\n'))
    assert [fault.line for fault in caught.value.faults] == [2, 3]


def test_a_short_table_of_one_long_text_is_refused(stored: Callable[[bytes], Path]) -> None:
    """A column that repeats one text is small on disk; it is not unfolded in memory."""
    long = pa.DictionaryArray.from_arrays(
        pa.array([0] * 64, pa.int32()), pa.array(["x" * 5_000_000])
    )
    with pytest.raises(InvalidData, match="line 1: The 32 rows from here hold more than"):
        check_file(stored(table(prompt=long, completion=["y"] * 64)))
