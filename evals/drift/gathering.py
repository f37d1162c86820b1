"""The samples of one target, read from the store in pieces and cut at once.

It refuses to know how they are compared.
"""

from collections.abc import Sequence

from evals.drift.comparison import Texts
from evals.drift.features import Columns
from evals.drift.texts import Words, words_of
from registry.records import DriftRow, DriftTarget, Record
from registry.store import Store
from registry.store.drift import KeptPlace

MAX_TEXTS = 1_000
"""Most texts of a side."""
_PAGE_ROWS = 2_000
_PAGE_TEXTS = 20  # each may have half a megabyte, and is cut before the next ones are read
_LONGEST_REACH = 10  # interactions that are looked at for each text wanted, where few are kept
_DAY_SECONDS = 86_400
_BEGINNING, _END = -1, 2**62


class Sizes(Record, frozen=True, kw_only=True):
    """How many rows are read."""

    reference_rows: int
    """Interactions of the reference: a version's first under a deployment's arm."""
    window_rows: int
    """Interactions of the window: the latest after them."""


class Span(Record, frozen=True, kw_only=True):
    """From when to when, in Unix time in seconds; none without a row."""

    since: float | None
    """Of the first row."""
    until: float | None
    """Of the last."""


class Sample:
    """Rows of one side."""

    def __init__(self) -> None:
        self.columns = Columns()
        """Their values."""
        self._moments: list[float] = []
        self.last = _BEGINNING
        """`seq` of the newest."""

    def add(self, rows: Sequence[DriftRow]) -> None:
        """Take rows."""
        self.columns.add(rows)
        moments = [row.created_at for row in rows]
        self._moments = [min(self._moments + moments), max(self._moments + moments)]
        self.last = max(self.last, *(row.seq for row in rows))

    @property
    def span(self) -> Span:
        """From when to when."""
        first, last = self._moments or (None, None)
        return Span(since=first, until=last)


class Gathered(Record, frozen=True, kw_only=True):
    """Both sides of one target."""

    reference: Sample
    """What the version began with."""
    window: Sample
    """Its latest."""
    texts: Texts | None
    """The texts kept of both; none where the project keeps none."""


async def gather(store: Store, target: DriftTarget, sizes: Sizes, *, now: float) -> Gathered:
    """Return both samples of a target.

    Args:
        store: Where they are.
        target: The version, and where it answers.
        sizes: How many rows.
        now: Unix time in seconds.

    Raises:
        Unavailable: The database cannot be reached.
    """
    reference = await _first(store, target, sizes.reference_rows)
    window = await _latest(store, target, after=reference.last, most=sizes.window_rows)
    texts = await _texts(store, target, sizes, now)
    return Gathered(reference=reference, window=window, texts=texts)


async def _first(store: Store, target: DriftTarget, most: int) -> Sample:
    sample = Sample()
    while sample.columns.rows < most:
        limit = min(_PAGE_ROWS, most - sample.columns.rows)
        rows = await store.drift.rows(target, after=sample.last, limit=limit)
        if not rows:
            break
        sample.add(rows)
    return sample


async def _latest(store: Store, target: DriftTarget, *, after: int, most: int) -> Sample:
    sample, before = Sample(), _END
    while sample.columns.rows < most:
        limit = min(_PAGE_ROWS, most - sample.columns.rows)
        rows = await store.drift.rows(target, after=after, before=before, limit=limit)
        if not rows:
            break
        sample.add(rows)
        before = rows[-1].seq
    return sample


async def _texts(store: Store, target: DriftTarget, sizes: Sizes, now: float) -> Texts | None:
    """Return the kept texts: the oldest that retention leaves, and the latest after them.

    They end with their retention, and with them what they were a reference for: a project's wish
    that words are forgotten goes before a reference that never moves.
    """
    project = await store.projects.get(target.project)
    if project.text_share <= 0:
        return None
    oldest = await store.drift.first_since(now - project.text_retention_days * _DAY_SECONDS)
    after = _END if oldest is None else oldest - 1
    first = await _places(
        store, target, project.text_share, after=after, newest=False, most=sizes.reference_rows
    )
    last = first[-1].seq if first else after
    latest = await _places(
        store, target, project.text_share, after=last, newest=True, most=sizes.window_rows
    )
    return Texts(
        reference=await _read(store, target.project, first),
        window=await _read(store, target.project, latest),
    )


async def _places(
    store: Store, target: DriftTarget, share: float, *, after: int, newest: bool, most: int
) -> list[KeptPlace]:
    limit = min(most, MAX_TEXTS)
    reach = min(int(limit / share) + 1, limit * _LONGEST_REACH)
    return await store.drift.kept(target, after=after, newest=newest, reach=reach, limit=limit)


async def _read(store: Store, project: str, places: Sequence[KeptPlace]) -> list[Words]:
    found: list[Words] = []
    for at in range(0, len(places), _PAGE_TEXTS):
        units = {place.id: place.unit_hash for place in places[at : at + _PAGE_TEXTS]}
        found += [
            words_of(text.request, text.answer, units[text.interaction_id])
            for text in await store.drift.texts(project, list(units))
        ]
    return found
