"""Decides who may use the annotation server: links with tokens, and sessions.

Neither tokens nor the names of people are ever printed or logged here.
"""

import hmac
import json
import re
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock

from raycal.errors import InputError
from raycal.storage.folder import Folder

Role = Literal["owner", "annotator"]
OWNER: Role = "owner"

ACCESS_FILE = "access.json"
TOKEN_BYTES = 32
MAX_NAME = 64
# A person who opens the link on more devices than this is logged out on the device that logged in first.
SESSIONS_PER_PERSON = 20
SESSION_SECONDS = 30 * 24 * 3600.0
LOCK_SECONDS = 10.0

# Control, bidirectional, private and unassigned characters, and separators of lines and paragraphs.
FORBIDDEN_IN_NAMES = ("C", "Zl", "Zp")
JOINERS = "\u200c\u200d"  # these characters are invisible, but some writing systems need them


class Person(NamedTuple):
    """A person who may use the project.

    Attributes:
        who: The pseudonym, which is the only thing that answers and results say about the person.
        role: What the person may do. An owner may also start the training.
    """

    who: str
    role: Role


class Login(NamedTuple):
    """A new session.

    Attributes:
        person: Who has logged in.
        secret: The value of the session's cookie, which exists nowhere else.
    """

    person: Person
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """A person in the file. `token` is a digest, or None after the person was revoked."""

    who: str
    role: Role
    name: str
    token: str | None
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """A session in the file. It ends when the number `generation` of its account changes, as it does when the person is
    revoked."""

    digest: str
    who: str
    generation: int
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    """The whole content of the file."""

    project: str
    accounts: tuple[_Account, ...] = ()
    sessions: tuple[_Session, ...] = ()

    def account(self, who: str) -> _Account | None:
        return next((account for account in self.accounts if account.who == who), None)

    def named(self, name: str) -> _Account | None:
        return next((account for account in self.accounts if account.role != OWNER and account.name == name), None)

    def with_account(self, new: _Account) -> "_Access":
        """A copy in which this account is added, or replaces the account with the same pseudonym."""
        if self.account(new.who) is None:
            return replace(self, accounts=(*self.accounts, new))
        return replace(self, accounts=tuple(new if old.who == new.who else old for old in self.accounts))

    def is_live(self, session: _Session, now: float) -> bool:
        account = self.account(session.who)
        return (
            account is not None
            and account.token is not None
            and account.generation == session.generation
            and session.created + SESSION_SECONDS > now
        )


class Tokens:
    """The people of a project, their tokens and their sessions, kept in one file of the project's folder.

    The file holds digests of tokens and sessions, so nobody can log in with what a backup of it contains. Only the user
    who runs the server may read it, because it alone holds the names of people. Several processes on one machine may
    use the file at the same time; on a remote filesystem, only one process may write it at a time.

    Args:
        folder: The folder of the file.
        now: The time in seconds since 1970.

    Raises:
        InputError: The file cannot be understood. Raised by every method that reads the file.
    """

    def __init__(self, folder: Folder, *, now: Callable[[], float] = time.time) -> None:
        self._folder, self._now = folder, now
        self._lock = threading.Lock()
        self._signature: object = None
        self._access = _Access(project="")
        self._by_digest: dict[str, _Session] = {}
        with self._lock, self._locked_file():
            access = self._read()
            if access is None:
                access = _Access(project=secrets.token_hex(8))
                self._write(access)
            self._use(access)

    @property
    def cookie(self) -> str:
        """The name of the session cookie, which differs between projects, because browsers share the cookies of all
        ports of a host."""
        return f"raycal-{self._access.project}"

    @property
    def is_local(self) -> bool:
        """Whether the file is on this machine, so that reading it takes no time."""
        return self._folder.is_local

    def owner_token(self) -> str:
        """A new token for the owner. It replaces the previous token, but sessions that began with that token go on."""
        token = _new_secret()

        def change(access: _Access) -> _Access:
            old = access.account(OWNER) or _Account(who=OWNER, role=OWNER, name="", token=None)
            return access.with_account(replace(old, token=_digest(token)))

        self._update(change)
        return token

    def invite(self, name: str) -> str:
        """A new token for a person with this name. It replaces the person's previous token, but sessions that began
        with that token go on.

        Raises:
            InputError: The name is empty, too long, or contains characters that cannot be printed.
        """
        name, token = checked_name(name), _new_secret()

        def change(access: _Access) -> _Access:
            number = sum(account.role != OWNER for account in access.accounts) + 1
            old = access.named(name) or _Account(who=f"person-{number}", role="annotator", name=name, token=None)
            return access.with_account(replace(old, token=_digest(token)))

        self._update(change)
        return token

    def revoke(self, name: str) -> None:
        """Make the link of a person invalid, and end the person's sessions. The answers of the person stay.

        Raises:
            InputError: Nobody with this name has a link.
        """
        name = checked_name(name)

        def change(access: _Access) -> _Access:
            old = access.named(name)
            if old is None or old.token is None:
                invited = sorted(account.name for account in access.accounts if account.role != OWNER and account.token)
                raise InputError(f"{name!r} has no link; these people have one: {', '.join(invited) or 'nobody'}")
            return access.with_account(replace(old, token=None, generation=old.generation + 1))

        self._update(change)

    def names(self) -> dict[str, str]:
        """The name of each person who was ever invited, by pseudonym. Only the owner may see them."""
        return {account.who: account.name for account in self._access.accounts if account.role != OWNER}

    def log_in(self, token: str) -> Login | None:
        """Begin a session for the person of a token; None if the token is wrong or not valid any more."""
        digest, secret = _digest(token), _new_secret()
        persons: list[Person] = []

        def change(access: _Access) -> _Access:
            # All accounts are compared, so that the time of an answer does not reveal where in the file the right one
            # is.
            right = [one for one in access.accounts if one.token and hmac.compare_digest(one.token, digest)]
            if not right:
                return access
            (account,) = right
            persons.append(Person(account.who, account.role))
            mine = [one for one in access.sessions if one.who == account.who and access.is_live(one, self._now())]
            others = [one for one in access.sessions if one.who != account.who and access.is_live(one, self._now())]
            new = _Session(digest=_digest(secret), who=account.who, generation=account.generation, created=self._now())
            return replace(access, sessions=(*others, *mine[-(SESSIONS_PER_PERSON - 1) :], new))

        self._update(change)
        return Login(persons[0], secret) if persons else None

    def person_of(self, secret: str) -> Person | None:
        """The person of a session; None if the session is unknown or over. Reads nothing from disk."""
        digest, access = _digest(secret), self._access
        session = self._by_digest.get(digest)
        if session is None or not hmac.compare_digest(session.digest, digest):
            return None
        account = access.account(session.who)
        if account is None or not access.is_live(session, self._now()):
            return None
        return Person(account.who, account.role)

    def refresh(self) -> None:
        """Read the file again if another process, such as one with `--invite`, has changed it since it was last
        read."""
        signature = self._file_signature()
        if signature is not None and signature == self._signature:
            return
        with self._lock:
            access = self._read()
            if access is not None:
                self._use(access, signature)

    def _update(self, change: Callable[[_Access], _Access]) -> None:
        with self._lock, self._locked_file():
            access = self._read() or self._access
            changed = change(access)
            if changed is not access:
                self._write(changed)
            self._use(changed)

    def _use(self, access: _Access, signature: object = None) -> None:
        self._signature = self._file_signature() if signature is None else signature
        self._by_digest = {session.digest: session for session in access.sessions}
        self._access = access

    def _read(self) -> _Access | None:
        content = self._folder.read(ACCESS_FILE)
        if content is None:
            return None
        try:
            fields = json.loads(content)
            return _Access(
                project=str(fields["project"]),
                accounts=tuple(_Account(**account) for account in fields["accounts"]),
                sessions=tuple(_Session(**session) for session in fields["sessions"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{self._folder.place}/{ACCESS_FILE}: is damaged; delete it, and send everybody a new link"
            ) from error

    def _write(self, access: _Access) -> None:
        self._folder.write(ACCESS_FILE, json.dumps(asdict(access), indent=1).encode(), private=True)

    def _file_signature(self) -> object:
        """A value that changes with the file. None if the file is remote or missing, because then a change cannot be
        seen.
        """
        if not self._folder.is_local:
            return None
        try:
            status = (Path(self._folder.path) / ACCESS_FILE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size

    @contextmanager
    def _locked_file(self) -> Iterator[None]:
        """Hold the lock of the file if it is on this machine. A file on a remote filesystem has no lock."""
        if self._folder.is_local:
            Path(self._folder.path).mkdir(parents=True, exist_ok=True)
        lock = Path(self._folder.path) / f".{ACCESS_FILE}.lock"
        with FileLock(lock, timeout=LOCK_SECONDS, mode=0o600) if self._folder.is_local else nullcontext():
            yield


def checked_name(name: str) -> str:
    """The name of a person in its normal form: NFC, with single spaces.

    Raises:
        InputError: The name is empty, too long, or contains characters that cannot be printed.
    """
    normal = re.sub(" +", " ", unicodedata.normalize("NFC", name)).strip(" ")
    if not normal:
        raise InputError("the name of a person must not be empty")
    if len(normal) > MAX_NAME:
        raise InputError(f"the name of a person should have at most {MAX_NAME} characters, not {len(normal)}")
    if any(unicodedata.category(sign).startswith(FORBIDDEN_IN_NAMES) for sign in normal if sign not in JOINERS):
        raise InputError(f"{normal!r}: the name of a person must not contain control characters")
    return normal


def _new_secret() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _digest(secret: str) -> str:
    """The digest of a secret. The secret has 256 random bits, so no salt and no slow digest are needed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
