"""Every error Graftline raises on purpose, as one tree.

It refuses to know HTTP: `service/problems.py` maps these to responses.

    GraftlineError
    ├── NotFound             no such record, or not in the caller's project
    │   └── Dropped              it existed for a moment and could not be kept
    ├── Conflict             the request contradicts the present state
    │   ├── IllegalTransition    the lifecycle table forbids the move
    │   ├── InUse                something still needs the record
    │   ├── LostLease            another process has the right to do this now
    │   ├── NotPromotable        no verdict, a stale one, or not `go`, and no override
    │   └── PolicyUnusable       the operator's policy file cannot be read
    ├── Invalid              the request's own fault; names the parameter
    │   ├── InvalidData          a data file's rows are at fault; names the lines
    │   └── InvalidAdapter       an adapter cannot be served; names fields and tensors
    ├── Denied               the caller may not do this
    │   ├── Unauthenticated      no key, or not one of ours
    │   └── MissingScope         the key lacks the scope
    ├── RateLimited          the key's limit of requests or tokens a minute is used up
    ├── Unavailable          a part is down; try again later
    │   ├── StoreAway            the artifact store does not answer
    │   ├── Unreachable          no connection could be opened: nothing was sent
    │   ├── Declined             it said that it cannot begin now
    │   └── Interrupted          it went away before its answer was whole
    ├── TooLarge             an upload beyond the limit
    │   ├── BodyTooLarge         an inference request beyond the limit
    │   └── PartTooLarge         a part of an upload beyond the limit
    ├── ArtifactError        files on disk are not what the manifest says
    │   ├── CorruptArtifact      a checksum or a file is wrong
    │   │   └── UntrustedArtifact    no signature, or not one of the key we trust
    │   └── StorageFull          no room left while writing
    ├── EngineError          vLLM answered with an error; carries its status and body
    └── TrainingFailed       a job ended badly; carries the job's error code
"""

from dataclasses import dataclass


class GraftlineError(Exception):
    """The base of the tree. Each error keeps its values in `args`, so it pickles."""


class NotFound(GraftlineError):
    """No record of this kind has this id, or it belongs to another project."""

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(kind, identifier)
        self.kind = kind
        self.identifier = identifier

    def __str__(self) -> str:
        return f"No such {self.kind}: '{self.identifier}'."


class Dropped(NotFound):
    """The record existed for a moment, and there was no way to keep it."""

    def __str__(self) -> str:
        return (
            f"The {self.kind} '{self.identifier}' was answered but not kept: too much waited to be "
            "stored, or the database refused it. Nothing can be added to it."
        )


class Conflict(GraftlineError):
    """The request contradicts the present state."""


class IllegalTransition(Conflict):
    """The lifecycle table has no such move."""

    def __init__(self, kind: str, identifier: str, present: str, wanted: str) -> None:
        super().__init__(kind, identifier, present, wanted)
        self.kind = kind
        self.identifier = identifier
        self.present = present
        self.wanted = wanted

    def __str__(self) -> str:
        return (
            f"The {self.kind} '{self.identifier}' is {self.present} "
            f"and cannot become {self.wanted}."
        )


class InUse(Conflict):
    """The record cannot go while something needs it."""

    def __init__(self, kind: str, identifier: str, user: str) -> None:
        super().__init__(kind, identifier, user)
        self.kind = kind
        self.identifier = identifier
        self.user = user

    def __str__(self) -> str:
        return f"The {self.kind} '{self.identifier}' is in use by {self.user}."


class LostLease(Conflict):
    """Another process holds the right to go on with the record."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(name, holder)
        self.name = name
        self.holder = holder

    def __str__(self) -> str:
        return f"'{self.holder}' no longer has the right to '{self.name}'; another process goes on."


class NotPromotable(Conflict):
    """Promotion needs a verdict `go`, or an override with a reason."""

    def __init__(self, version: str, verdict: str | None, stale: str | None = None) -> None:
        super().__init__(version, verdict, stale)
        self.version = version
        self.verdict = verdict
        self.stale = stale

    def __str__(self) -> str:
        why = f"its verdict is '{self.verdict}'" if self.verdict else "it has no verdict yet"
        if self.stale:
            why = f"its verdict is stale: {self.stale}"
        return (
            f"'{self.version}' cannot be promoted: {why}. Evaluate it, "
            "or pass 'override_reason' to promote it all the same; the reason is recorded."
        )


class PolicyUnusable(Conflict):
    """The operator's policy file cannot be read, so no verdict can be asked for or relied on."""

    def __init__(self, path: str, fault: str) -> None:
        super().__init__(path, fault)
        self.path = path
        self.fault = fault

    def __str__(self) -> str:
        return (
            f"GRAFTLINE_POLICY_FILE cannot be used: {self.fault} "
            "Mend it ('graftline policy FILE' checks a file), or unset the variable."
        )


class Invalid(GraftlineError):
    """The request itself is at fault."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param, code)
        self.message = message
        self.param = param
        self.code = code

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class DataFault:
    """One thing wrong with a data file."""

    line: int
    """Line number in the file, from 1; 0 when the file as a whole is at fault."""
    message: str
    """What is wrong."""
    remedy: str
    """How to mend it."""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.message} {self.remedy}"


class InvalidData(Invalid):
    """A data file has faulty rows."""

    def __init__(self, faults: tuple[DataFault, ...], *, more: bool = False) -> None:
        listing = "\n".join(f"- {fault}" for fault in faults)
        count = f"at least {len(faults)}" if more else str(len(faults))
        plural = "" if count == "1" else "s"
        super().__init__(f"The file has {count} fault{plural}:\n{listing}", "file", "invalid_file")
        self.faults = faults
        self.more = more

    def __reduce__(self) -> tuple[object, ...]:
        return _revive_invalid_data, (self.faults, self.more)


def _revive_invalid_data(faults: tuple[DataFault, ...], more: bool) -> InvalidData:  # noqa: FBT001 - pickle passes by position
    return InvalidData(faults, more=more)


@dataclass(frozen=True)
class AdapterFault:
    """One reason why an adapter that was trained elsewhere cannot be served."""

    where: str
    """The file, and its field or tensor."""
    message: str
    """What is wrong."""
    remedy: str
    """What to change."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message} {self.remedy}"


class InvalidAdapter(Invalid):
    """An adapter that was trained elsewhere cannot be served here."""

    def __init__(self, faults: tuple[AdapterFault, ...], *, more: bool = False) -> None:
        listing = "\n".join(f"- {fault}" for fault in faults)
        count = f"at least {len(faults)}" if more else str(len(faults))
        plural = "" if count == "1" else "s"
        param = faults[0].where.partition(".")[0]
        message = f"The adapter has {count} fault{plural}:\n{listing}"
        super().__init__(message, param, "invalid_adapter")
        self.faults = faults
        self.more = more

    def __reduce__(self) -> tuple[object, ...]:
        return _revive_invalid_adapter, (self.faults, self.more)


def _revive_invalid_adapter(faults: tuple[AdapterFault, ...], more: bool) -> InvalidAdapter:  # noqa: FBT001 - pickle passes by position
    return InvalidAdapter(faults, more=more)


class Denied(GraftlineError):
    """The caller may not do this."""


class Unauthenticated(Denied):
    """No key came with the request, or not a valid one."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class MissingScope(Denied):
    """The key is ours but lacks the scope."""

    def __init__(self, scope: str) -> None:
        super().__init__(scope)
        self.scope = scope

    def __str__(self) -> str:
        return f"This API key lacks the scope '{self.scope}'."


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What is left of one limit in the present minute."""

    kind: str
    """What is counted: `requests` or `tokens`."""
    limit: int
    """Most of it in one minute."""
    remaining: int
    """What is left, never below 0."""
    reset_seconds: int
    """Seconds until the minute ends and all of it is there again."""


class RateLimited(GraftlineError):
    """A key used up one of its limits."""

    def __init__(self, exceeded: Allowance, allowances: tuple[Allowance, ...]) -> None:
        super().__init__(exceeded, allowances)
        self.exceeded = exceeded
        self.allowances = allowances

    def __str__(self) -> str:
        spent = self.exceeded
        return (
            f"This API key reached its limit of {spent.limit} {spent.kind} a minute. Try again in "
            f"{spent.reset_seconds} s, or ask an admin to raise '{spent.kind}_per_minute'."
        )


class Unavailable(GraftlineError):
    """A part is down for now."""

    def __init__(self, part: str, message: str, retry_after_seconds: int = 5) -> None:
        super().__init__(part, message, retry_after_seconds)
        self.part = part
        self.message = message
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        return self.message


class StoreAway(Unavailable):
    """The artifact store does not answer, or lets nobody in; one version waits, nothing else."""


class Unreachable(Unavailable):
    """No connection could be opened; nothing was sent, so another peer may be asked."""


class Declined(Unavailable):
    """The peer answered that it cannot begin now; it did no work, so another one may be asked."""


class Interrupted(Unavailable):
    """The peer went away after it had the request; whether it did the work is unknown."""


class TooLarge(GraftlineError):
    """An upload is beyond the limit."""

    def __init__(self, limit_bytes: int, setting: str = "GRAFTLINE_MAX_UPLOAD_BYTES") -> None:
        super().__init__(limit_bytes, setting)
        self.limit_bytes = limit_bytes
        self.setting = setting

    def __str__(self) -> str:
        return (
            f"The upload is larger than {self.limit_bytes} bytes. "
            f"Make the file smaller, or raise {self.setting}."
        )


class BodyTooLarge(TooLarge):
    """An inference request is beyond the limit."""

    def __str__(self) -> str:
        return (
            f"The request's body is larger than {self.limit_bytes} bytes. "
            "Send less context, or raise GRAFTLINE_MAX_REQUEST_BYTES."
        )


class PartTooLarge(TooLarge):
    """A part of an upload is beyond the limit."""

    def __str__(self) -> str:
        return f"The part is larger than {self.limit_bytes} bytes. Send smaller parts."


class ArtifactError(GraftlineError):
    """Files on disk are not what they should be."""


class CorruptArtifact(ArtifactError):
    """A file is missing, altered or of a forbidden kind."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"The artifact {self.path} is corrupt: {self.reason}."


class UntrustedArtifact(CorruptArtifact):
    """A version carries no signature, or none that the verification key fits."""

    def __str__(self) -> str:
        remedy = "GRAFTLINE_VERIFICATION_KEY must be the public half of GRAFTLINE_SIGNING_KEY."
        return f"The artifact {self.path} is refused: {self.reason}. {remedy}"


class StorageFull(ArtifactError):
    """The disk has no room for what is being written."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"No space left on the device while writing {self.path}. Free some, then try again."


class EngineError(GraftlineError):
    """vLLM refused or failed; its own words are kept."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return f"The engine answered {self.status}: {self.message}"


class TrainingFailed(GraftlineError):
    """A job ended badly, with the code the job's `error` shows."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(code, message, param)
        self.code = code
        self.message = message
        self.param = param

    def __str__(self) -> str:
        return self.message
