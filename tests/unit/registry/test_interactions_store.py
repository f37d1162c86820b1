"""The store's interactions, texts and projects' choices, on both databases."""

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from registry.records import Arm, Feedback, Interaction, InteractionText, Project
from registry.store import Store
from registry.store.batches import packed
from registry.store.interactions import Choice


def interaction(identifier: str = "chatcmpl-1", **changes: object) -> Interaction:
    """Return an interaction with every field set."""
    made = Interaction(
        id=identifier,
        project="p",
        deployment="support",
        arm=Arm.CANDIDATE,
        model="ft:tiny-base:p:x:1",
        unit_hash="u",
        endpoint="chat.completions",
        status=200,
        finish_reason="stop",
        prompt_tokens=3,
        completion_tokens=5,
        first_token_seconds=0.125,
        duration_seconds=0.1,
        created_at=1_764_000_000.123456,
        key_id="key-1",
        shadow_of="chatcmpl-0",
        mean_logprob=-0.3,
        features={"messages": 2.0, "temperature": 0.7},
    )
    return msgspec.structs.replace(made, **changes)


def text(identifier: str = "chatcmpl-1", created_at: float = 1.0) -> InteractionText:
    """Return a kept text."""
    request = {"messages": [{"role": "user", "content": 'Grüße, "é" 😀'}]}
    return InteractionText(
        interaction_id=identifier, project="p", request=request, answer="ñ", created_at=created_at
    )


def judgement(identifier: str) -> Feedback:
    """Return a judgement in words."""
    return Feedback(
        id=f"feedback-{identifier}",
        interaction_id=identifier,
        project="p",
        score=None,
        label=None,
        comment="no",
        correction=None,
        created_at=1,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict.fromkeys(("deployment", "unit_hash", "prompt_tokens", "key_id", "mean_logprob")),
        {"features": {}},
        {"model": 'a "quoted" é name'},
    ],
)
async def test_an_interaction_comes_back_as_it_went_in(
    store: Store, changes: dict[str, object]
) -> None:
    """Every field survives the batch, unknown ones stay unknown."""
    made = msgspec.structs.replace(interaction(), **changes)
    await store.interactions.add_many([made, interaction("chatcmpl-2")])
    assert await store.interactions.get(made.id, project="p") == made


async def test_a_text_comes_back_as_it_went_in(store: Store) -> None:
    """Whatever its letters, for its own project only."""
    await store.interactions.add_packed([packed(interaction())], [packed(text())])
    assert await store.projects.text("chatcmpl-1", project="p") == text()
    assert await store.projects.text("chatcmpl-1", project="q") is None


async def test_a_batch_with_a_known_id_stores_nothing(store: Store) -> None:
    """All rows or none, so that the caller can find the one at fault."""
    await store.interactions.add_many([interaction("a")])
    with pytest.raises(IntegrityError):
        await store.interactions.add_many([interaction("b"), interaction("a")])
    page = await store.interactions.page(Choice(project="p"), after=None, limit=9)
    assert [each.id for each in page.data] == ["a"]


async def test_interactions_are_chosen_by_what_they_are(store: Store) -> None:
    """Each filter chooses; another project sees nothing."""
    await store.interactions.add_many(
        [
            interaction("a", created_at=1.0),
            interaction("b", created_at=2.0, arm=Arm.STABLE, model="m"),
            interaction("c", created_at=3.0, deployment=None, arm=Arm.NONE),
        ]
    )
    await store.interactions.judge(judgement("b"))
    choices = {
        Choice(project="p"): "cba",
        Choice(project="q"): "",
        Choice(project="p", deployment="support"): "ba",
        Choice(project="p", arm="stable"): "b",
        Choice(project="p", model="m"): "b",
        Choice(project="p", since=2.0): "cb",
        Choice(project="p", until=2.0): "a",
        Choice(project="p", has_feedback=True): "b",
        Choice(project="p", has_feedback=False): "ca",
    }
    for choice, expected in choices.items():
        page = await store.interactions.page(choice, after=None, limit=9)
        assert "".join(each.id for each in page.data) == expected, choice


async def test_judged_interactions_come_in_pages(store: Store) -> None:
    """Newest judgement first, each once, with its text if that was kept."""
    rows = [packed(interaction(name)) for name in "abc"]
    await store.interactions.add_packed(rows, [packed(text("b"))])
    for name in "abc":
        await store.interactions.judge(judgement(name))
    first = await store.interactions.judged(Choice(project="p"), before=None, limit=2)
    rest = await store.interactions.judged(Choice(project="p"), before=first.next, limit=2)
    found = [(each.interaction_id, each.text is not None) for each in [*first.data, *rest.data]]
    assert found == [("c", False), ("b", True), ("a", False)]
    assert rest.next is None


async def test_a_projects_choice_is_replaced(store: Store) -> None:
    """The last one holds; without one the defaults do."""
    assert (await store.projects.get("p")).text_share == 0.0
    for share in (0.5, 1.0):
        await store.projects.put(Project(name="p", text_share=share, updated_at=1))
    assert [each.text_share for each in await store.projects.all()] == [1.0]


async def test_old_texts_are_deleted_and_new_ones_stay(store: Store) -> None:
    """In as many small steps as it takes."""
    names = [f"t{number}" for number in range(1201)]
    texts = [packed(text(name, created_at=float(at))) for at, name in enumerate(names)]
    await store.interactions.add_packed([], texts)
    assert await store.projects.forget_texts("p", before=1200.0) == 1200
    assert await store.projects.text("t1200", project="p") is not None
    assert await store.projects.forget_texts("p") == 1
