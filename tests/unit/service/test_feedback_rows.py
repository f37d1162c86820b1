"""Judged answers as rows of a training file."""

import json
from typing import Any

from registry.records import Feedback, InteractionText
from registry.store.interactions import Judged
from service.feedback_rows import Collection, Method, Skip

ASKED = {"messages": [{"role": "user", "content": "Where is my card?"}]}


def judged(
    answer: str | None = "On its way.",
    *,
    score: float | None = None,
    correction: str | None = None,
    request: dict[str, Any] | None = None,
) -> Judged:
    """Return a judgement; without an answer the text was not kept."""
    text = answer and InteractionText(
        interaction_id="i", project="p", request=request or ASKED, answer=answer, created_at=1.0
    )
    given = Feedback(
        id="f",
        interaction_id="i",
        project="p",
        score=score,
        label=None,
        comment=None,
        correction=correction,
        created_at=1,
    )
    return Judged(interaction_id="i", feedback=given, text=text or None)


def collected(
    *judgements: Judged, method: Method = Method.SUPERVISED, max_rows: int = 99
) -> Collection:
    """Return what comes of judgements."""
    collection = Collection(method, min_score=0.5, max_rows=max_rows, max_bytes=10**6)
    for each in judgements:
        collection.take(each)
    collection.finish()
    return collection


def rows(collection: Collection) -> list[dict[str, Any]]:
    """Return the rows, decoded."""
    return [json.loads(line) for line in collection.rows]


def test_a_correction_goes_before_the_answer() -> None:
    """Even before an answer with a good score."""
    (row,) = rows(collected(judged(score=1.0, correction="Posted on Monday.")))
    assert row["messages"][-1] == {"role": "assistant", "content": "Posted on Monday."}


def test_only_good_answers_are_learnt() -> None:
    """A bad one and one of unknown worth are left out, and counted."""
    made = collected(judged(score=0.5), judged("x", score=0.4), judged("y"), judged(None, score=1))
    assert [row["messages"][-1]["content"] for row in rows(made)] == ["On its way."]
    assert made.skipped == {Skip.NOT_GOOD: 2, Skip.NO_TEXT: 1}


def test_earlier_answers_carry_no_weight() -> None:
    """Nobody judged them."""
    earlier = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Where?"},
    ]
    (row,) = rows(collected(judged(score=1, request={"messages": earlier})))
    assert [message.get("weight") for message in row["messages"]] == [None, 0, None, None]


def test_the_same_row_is_there_once() -> None:
    """Two users who like the same answer make one example."""
    made = collected(judged(score=1), judged(score=0.9))
    assert (len(made.rows), made.skipped) == (1, {Skip.DUPLICATE: 1})


def test_what_cannot_be_trained_on_is_left_out() -> None:
    """A picture in the request."""
    parts = {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}
    made = collected(judged(score=1, request=parts))
    assert (made.rows, made.skipped) == ([], {Skip.NOT_TRAINABLE: 1})


def test_a_prompt_keeps_its_shape() -> None:
    """Completions become prompt–completion rows."""
    (row,) = rows(collected(judged(score=1, request={"prompt": "Once"})))
    assert row == {"prompt": "Once", "completion": "On its way."}


def test_a_correction_is_preferred_to_the_answer() -> None:
    """One judgement makes a pair."""
    (row,) = rows(collected(judged(correction="Posted."), method=Method.DPO))
    assert row == {
        "input": ASKED,
        "preferred_output": [{"role": "assistant", "content": "Posted."}],
        "non_preferred_output": [{"role": "assistant", "content": "On its way."}],
    }


def test_a_good_answer_is_preferred_to_a_bad_one_of_the_same_request() -> None:
    """And an answer without its opposite makes no pair."""
    other = {"messages": [{"role": "user", "content": "Else"}]}
    made = collected(
        judged("good", score=1.0),
        judged("bad", score=0.0),
        judged("alone", score=1.0, request=other),
        method=Method.DPO,
    )
    (row,) = rows(made)
    assert row["preferred_output"][0]["content"] == "good"
    assert row["non_preferred_output"][0]["content"] == "bad"
    assert made.skipped == {Skip.NO_PAIR: 1}


def test_beyond_the_limit_rows_are_counted() -> None:
    """A bounded file says what it left out."""
    made = collected(judged("a", score=1), judged("b", score=1), max_rows=1)
    assert (len(made.rows), made.skipped) == (1, {Skip.OVER_LIMIT: 1})
    assert made.is_full


def test_requests_in_other_words_teach_the_same_row() -> None:
    """Anthropic's and responses' become conversations, the instructions first."""
    said = "Where is my card?"
    requests: list[dict[str, Any]] = [
        {"system": "Be brief.", "messages": [{"role": "user", "content": said}]},
        {"instructions": "Be brief.", "input": said},
    ]
    made = [rows(collected(judged(score=1, request=request))) for request in requests]
    assert made[0] == made[1]
    assert [each["role"] for each in made[0][0]["messages"]] == ["system", "user", "assistant"]
