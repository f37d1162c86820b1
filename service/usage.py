"""What keys used since it was last written down, in memory.

It refuses to know the database: whoever writes interactions takes the rows along.
"""

from datetime import UTC, datetime

from prometheus_client import Counter

from registry.records import ApiKey, UsageRow

MAX_GROUPS = 20_000
"""Groups (key, model, day) that may wait while the database is away; requests of further ones are
not counted, but for a metric."""
_DAY_SECONDS = 86_400


class UsageLedger:
    """Sums by project, key, model and day that wait to be written."""

    def __init__(self, dropped: Counter) -> None:
        self._dropped = dropped
        self._sums: dict[tuple[str, str, str, int], list[int]] = {}
        self._taken: list[UsageRow] = []

    def add(
        self, key: ApiKey, model: str, at: float, prompt_tokens: int, completion_tokens: int
    ) -> None:
        """Count one request; never waits. `at` is its Unix time in seconds."""
        group = (key.project, key.id, model, int(at) // _DAY_SECONDS)
        sums = self._sums.get(group)
        if sums is None:
            if len(self._sums) >= MAX_GROUPS:
                self._dropped.inc()
                return
            sums = self._sums[group] = [0, 0, 0]
        sums[0] += 1
        sums[1] += prompt_tokens
        sums[2] += completion_tokens

    def take(self) -> list[UsageRow]:
        """Return what is to be written: the same rows at each call until they are `settled`.

        What is counted meanwhile waits for the next call, so a batch that is written twice by a
        careful writer is the same batch.
        """
        if not self._taken and self._sums:
            self._taken = [_row(group, sums) for group, sums in self._sums.items()]
            self._sums = {}
        return self._taken

    def settled(self) -> None:
        """Forget the rows taken: they are stored."""
        self._taken = []

    @property
    def is_taken(self) -> bool:
        """Whether a batch was taken that is not stored yet; the next one taken is the same."""
        return bool(self._taken)

    @property
    def waiting_requests(self) -> int:
        """Requests counted here that are not stored yet."""
        waiting = sum(sums[0] for sums in self._sums.values())
        return waiting + sum(row.requests for row in self._taken)


def _row(group: tuple[str, str, str, int], sums: list[int]) -> UsageRow:
    project, key_id, model, day = group
    return UsageRow(
        project=project,
        key_id=key_id,
        model=model,
        day=datetime.fromtimestamp(day * _DAY_SECONDS, UTC).date().isoformat(),
        requests=sums[0],
        prompt_tokens=sums[1],
        completion_tokens=sums[2],
    )
