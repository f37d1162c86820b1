"""Data files: what is accepted, and what a fault's message says."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.chatdata import MAX_FAULTS, parse_row, rows_of, validate
from registry.errors import InvalidData

GOOD = b'{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}\n'


def faults_of(*lines: bytes) -> list[str]:
    """Return the messages of the faults in a file of these lines."""
    with pytest.raises(InvalidData) as caught:
        validate(lines)
    return [str(fault) for fault in caught.value.faults]


def test_a_good_file_is_counted() -> None:
    """Rows of both shapes count, and empty lines do not."""
    completion = b'{"prompt":"2+2=","completion":" 4"}\n'
    assert validate([GOOD, b"\n", completion]).rows == 2


def test_a_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    """Files saved on Windows are as good as others."""
    assert validate([b"\xef\xbb\xbf" + GOOD.strip() + b"\r\n", GOOD.strip() + b"\r\n"]).rows == 2


def test_duplicates_are_named_not_refused() -> None:
    """A repeated row is reported by its line."""
    assert validate([GOOD, GOOD.replace(b"hi", b"hello"), GOOD]).duplicate_lines == [3]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"messages": [}\n', "not JSON"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'{"text": "x"}\n', "has text"),
        (b'{"messages": []}\n', "not a list with entries"),
        (b'{"messages": "x"}\n', "not a list with entries"),
        (b'{"messages": ["x"]}\n', "messages[0] is not an object"),
        (b'{"messages":[{"role":"robot","content":"x"}]}\n', "role 'robot'"),
        (b'{"messages":[{"role":["user"],"content":"x"}]}\n', "role ['user']"),
        (b'{"messages":[{"role":"user","content":"x"}]}\n', "no assistant message"),
        (GOOD.replace(b'"ho"', b'""'), "messages[1] has empty content"),
        (GOOD.replace(b'"ho"', b"null"), "messages[1] has no text content"),
        (GOOD.replace(b'"hi"', b'[{"type":"image_url"}]'), "messages[0] has no text content"),
        (GOOD.replace(b'"ho"', b'"ho","weight":0'), "Every assistant message has weight 0"),
        (GOOD.replace(b'"ho"', b'"ho","weight":2'), "weight other than 0 or 1"),
        (GOOD.replace(b'"ho"', b'"ho","weight":[]'), "weight other than 0 or 1"),
        (GOOD.replace(b'"ho"', b'"ho","tool_calls":"x"'), "tool_calls is not a list"),
        (GOOD.replace(b"}]}", b'}],"tools":3}'), "'tools' is not a list"),
        (b'{"prompt":1,"completion":"x"}\n', "'prompt' is not a string"),
        (b'{"prompt":"x","completion":" "}\n', "'completion' is empty"),
        (b'{"prompt":"\xff\xfe"}\n', "not UTF-8"),
        (b"[" * 100_000 + b"\n", "not JSON"),
        (b'{"prompt":"' + b"x" * 5_000_000 + b'"}\n', "5000"),
    ],
)
def test_a_fault_names_the_line_and_the_remedy(line: bytes, words: str) -> None:
    """Each kind of fault says where it is, what is wrong and how to mend it."""
    found = faults_of(GOOD, line)
    assert found[0].startswith("line 2: ")
    assert words in found[0]


def test_a_conversation_that_ends_with_the_user_is_refused() -> None:
    """The last message is what the model learns to say."""
    turns = [("user", "a"), ("assistant", "b"), ("user", "c")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    assert "last message is not the assistant's" in faults_of(json.dumps(row).encode())[0]


def test_an_answer_that_only_calls_tools_needs_no_content() -> None:
    """A tool call is an answer."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    row = {"messages": [{"role": "user", "content": "a"}, answer]}
    assert parse_row(1, json.dumps(row).encode()).messages is not None


def test_all_faults_are_reported_up_to_the_limit() -> None:
    """Several faulty lines are named at once; past the limit the rest is only hinted at."""
    assert len(faults_of(b"x\n", GOOD, b"y\n")) == 2
    with pytest.raises(InvalidData, match="at least 20 faults") as caught:
        validate([b"x\n"] * 1000)
    assert len(caught.value.faults) == MAX_FAULTS


def test_an_empty_file_is_refused() -> None:
    """No rows is a fault of the file as a whole."""
    assert faults_of(b"\n") == [
        (
            'The file has no rows. Write {"messages": […]} or '
            '{"prompt": "…", "completion": "…"} on each line.'
        )
    ]


@given(st.lists(st.binary(max_size=80), max_size=10))
def test_no_bytes_break_the_validation(lines: list[bytes]) -> None:
    """Whatever the bytes, the answer is a summary or `InvalidData`."""
    with suppress(InvalidData):
        assert validate(lines).rows


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["messages", "role", "content", "prompt", "completion", "tools"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_json_breaks_the_validation(value: object) -> None:
    """Whatever the JSON, the answer is rows or `InvalidData`."""
    with suppress(InvalidData):
        assert list(rows_of([json.dumps(value).encode()]))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"prompt":"a","completion":"b","completion":"c"}', "'completion' 2 times"),
        (GOOD.replace(b'"user"', b'"user","content":"x"'), "'content' 2 times"),
        (b'{"prompt":"a","completion":"b",' + b'"x":1,' * 9 + b'"y":2}', "'x' 9 times"),
        (json.dumps({f"x{n}": n for n in range(60)}).encode(), "The row has x0, x1"),
        (b'{"prompt":"a","prompt":' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_a_field_that_stands_twice_is_refused(line: bytes, words: str) -> None:
    """Which of two values was meant cannot be known; names that only look alike are fine."""
    assert words in faults_of(GOOD, line)[0]


def test_words_that_look_like_fields_are_no_fields() -> None:
    """A text that quotes JSON is text."""
    quoted = GOOD.replace(b'"hi"', json.dumps('{"role": "x", "role": "messages"}').encode())
    tools = GOOD.replace(b"}]}", b'}],"tools":[{"role":1,"content":2}]}')
    assert validate([quoted, tools]).rows == 2


def test_no_depth_breaks_the_validation() -> None:
    """Whatever the depth, the answer is `InvalidData`: two parsers give up at different ones."""
    for depth in range(850, 1050):
        nested = b'{"a":1,"a":' + b"[" * depth + b"]" * depth + b"}"
        with pytest.raises(InvalidData):
            parse_row(1, nested)


def test_a_row_may_say_where_it_belongs() -> None:
    """Cluster and segment are names; a number is taken for one."""
    row = parse_row(1, b'{"prompt":"a","completion":"b","cluster":7,"segment":"x","canary":true}')
    assert (row.cluster, row.segment, row.canary) == ("7", "x", True)


def test_a_place_that_is_no_name_is_a_fault() -> None:
    """The line and the field are named."""
    (fault,) = faults_of(b'{"prompt":"a","completion":"b","segment":["x"]}\n')
    assert fault.startswith("line 1: 'segment' is not a text.")


PAIR = {
    "input": {"messages": [{"role": "user", "content": "hi"}]},
    "preferred_output": [{"role": "assistant", "content": "ho"}],
    "non_preferred_output": [{"role": "assistant", "content": "hm"}],
}


def test_a_pair_ends_with_the_better_answer() -> None:
    """A preference row is a conversation whose last answer is the better one, and the worse one."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    pair = PAIR | {"input": {"messages": [{"role": "user", "content": "hi"}], "tools": tools}}
    row = parse_row(1, json.dumps(pair).encode())
    assert (row.target, row.tools) == ("ho", tools)
    assert row.rejected == [{"role": "assistant", "content": "hm"}]


def test_pairs_that_differ_in_the_worse_answer_differ() -> None:
    """The worse answer is part of a row's identity, and not of its prompt's."""
    other = PAIR | {"non_preferred_output": [{"role": "assistant", "content": "no"}]}
    first, second = (parse_row(1, json.dumps(pair).encode()) for pair in (PAIR, other))
    assert first.digest != second.digest
    assert first.prompt_digest == second.prompt_digest


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": None}, "'input' has no list of messages"),
        ({"input": {"messages": "hi"}}, "'input' has no list of messages"),
        ({"input": {"messages": []}}, "'input' is empty or ends with an assistant message"),
        (
            {"input": {"messages": [{"role": "assistant", "content": "x"}]}},
            "'input' is empty or ends with an assistant message",
        ),
        ({"input": {"messages": [{"role": "user"}]}}, "With 'preferred_output': messages[0]"),
        ({"preferred_output": "ho"}, "'preferred_output' is not one assistant message"),
        ({"preferred_output": None}, "'preferred_output' is not one assistant message"),
        ({"non_preferred_output": []}, "'non_preferred_output' is not one assistant message"),
        (
            {"non_preferred_output": [{"role": "user", "content": "x"}]},
            "'non_preferred_output' is not one assistant message",
        ),
        (
            {"non_preferred_output": [{"role": "assistant", "content": " "}]},
            "With 'non_preferred_output': messages[1] has empty content",
        ),
        ({"non_preferred_output": PAIR["preferred_output"]}, "Both outputs are the same"),
    ],
)
def test_a_faulty_pair_is_named(changes: dict[str, object], words: str) -> None:
    """Each fault of a preference row says what is wrong and how to mend it."""
    assert words in "\n".join(faults_of(json.dumps(PAIR | changes).encode()))
