import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from set_clock import Clock

from raycal.annotate.tokens import SESSION_SECONDS, SESSIONS_PER_PERSON, Person, Tokens, checked_name
from raycal.errors import InputError
from raycal.storage.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "access"))


def test_file_holds_digests_for_the_user_alone(tokens: Tokens, tmp_path: Path) -> None:
    token = tokens.invite("Ana")
    login = tokens.log_in(token)
    assert login is not None
    (path,) = [path for path in (tmp_path / "project").iterdir() if path.suffix == ".json"]

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token not in path.read_text()
    assert login.secret not in path.read_text()
    account = json.loads(path.read_text())["accounts"][0]
    assert (account["who"], account["role"], account["name"]) == ("person-1", "annotator", "Ana")


def test_sessions_survive_a_restart(folder: Folder) -> None:
    before = Tokens(folder)
    login = before.log_in(before.invite("Ana"))
    assert login is not None
    after = Tokens(folder)
    after.owner_token()

    assert after.cookie == before.cookie
    assert after.person_of(login.secret) == Person("person-1", "annotator")


def test_tokens_are_random_and_long(folder: Folder) -> None:
    tokens = Tokens(folder)
    made = {tokens.owner_token() for _ in range(3)} | {tokens.invite("Ana") for _ in range(3)}

    assert len(made) == 6
    assert {len(token) for token in made} == {43}


def test_new_link_replaces_the_old_one_but_not_the_sessions(folder: Folder) -> None:
    tokens = Tokens(folder)
    old = tokens.invite("Ana")
    login = tokens.log_in(old)
    assert login is not None
    new = tokens.invite("  Ana ")

    assert tokens.log_in(old) is None
    assert tokens.person_of(login.secret) == Person("person-1", "annotator")
    assert tokens.log_in(new) is not None
    assert tokens.names() == {"person-1": "Ana"}


def test_revoked_person_who_is_invited_again_keeps_the_pseudonym_and_no_session(folder: Folder) -> None:
    tokens = Tokens(folder)
    old = tokens.log_in(tokens.invite("Ana"))
    assert old is not None
    tokens.revoke("Ana")
    tokens.invite("Bob")
    new = tokens.log_in(tokens.invite("Ana"))

    assert new is not None
    assert new.person == Person("person-1", "annotator")
    assert tokens.person_of(old.secret) is None
    assert tokens.names() == {"person-1": "Ana", "person-2": "Bob"}


def test_who_was_not_invited_cannot_be_revoked(folder: Folder) -> None:
    tokens = Tokens(folder)
    tokens.invite("Ana")
    with pytest.raises(InputError, match="'Bob' has no link; these people have one: Ana"):
        tokens.revoke("Bob")
    tokens.revoke("Ana")
    with pytest.raises(InputError, match="'Ana' has no link; these people have one: nobody"):
        tokens.revoke("Ana")


def test_sessions_end_after_their_time(folder: Folder) -> None:
    clock = Clock()
    tokens = Tokens(folder, now=clock)
    login = tokens.log_in(tokens.owner_token())
    assert login is not None
    clock.now += SESSION_SECONDS - 1
    assert tokens.person_of(login.secret) == Person("owner", "owner")
    clock.now += 2
    assert tokens.person_of(login.secret) is None


def test_oldest_session_of_a_person_gives_way(folder: Folder) -> None:
    tokens = Tokens(folder)
    other = tokens.log_in(tokens.invite("Bob"))
    token = tokens.invite("Ana")
    logins = [tokens.log_in(token) for _ in range(SESSIONS_PER_PERSON + 1)]
    people = [tokens.person_of(login.secret) for login in logins if login]

    assert people == [None, *[Person("person-2", "annotator")] * SESSIONS_PER_PERSON]
    assert other is not None
    assert tokens.person_of(other.secret) == Person("person-1", "annotator")


def test_invitation_of_another_process_is_seen(folder: Folder) -> None:
    running = Tokens(folder)
    login = running.log_in(running.owner_token())
    assert login is not None
    script = (
        "import sys; from raycal.annotate.tokens import Tokens; from raycal.storage.folder import Folder\n"
        "print(Tokens(Folder.at(sys.argv[1])).invite('Ana'))"
    )
    made = subprocess.run([sys.executable, "-c", script, folder.path], capture_output=True, text=True, check=True)
    by_ana = running.log_in(made.stdout.strip())
    Tokens(folder).revoke("Ana")
    assert by_ana is not None
    assert running.person_of(by_ana.secret) == Person("person-1", "annotator")
    running.refresh()

    assert running.person_of(by_ana.secret) is None
    assert running.person_of(login.secret) == Person("owner", "owner")


def test_remote_folder_works_too() -> None:
    folder = Folder.at("mock:///bucket/project")
    tokens = Tokens(folder)
    login = tokens.log_in(tokens.invite("Ana"))
    again = Tokens(folder)

    assert login is not None
    assert again.person_of(login.secret) == Person("person-1", "annotator")
    again.revoke("Ana")
    tokens.refresh()
    assert tokens.person_of(login.secret) is None


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"project": "a"}', b'{"project": "a", "accounts": [{}], "sessions": []}']
)
def test_damaged_file_is_named(folder: Folder, content: bytes) -> None:
    folder.write("access.json", content)
    with pytest.raises(InputError, match=r"access\.json: is damaged; delete it, and send everybody a new link"):
        Tokens(folder)


@pytest.mark.parametrize(
    "name", ["", "  ", "a" * 65, "Ana\n", "A\tna", "\u202eAna", "Ana\x00", "\ue000", "\ud800", "\u2028"]
)
def test_name_must_be_printable(name: str) -> None:
    with pytest.raises(InputError, match="the name of a person"):
        checked_name(name)


def test_name_gets_one_form() -> None:
    assert checked_name("  Jose\u0301   Pe\u0301rez ") == "José Pérez"
    # Persian needs the zero-width character between the letters.
    assert checked_name("\u0645\u06cc\u200c\u062e") == "\u0645\u06cc\u200c\u062e"


def test_umask_of_the_user_does_not_open_the_file(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Tokens(Folder.at(str(tmp_path))).invite("Ana")
    finally:
        os.umask(before)

    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
