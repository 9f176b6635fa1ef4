import gzip
import io
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from in_memory import Client, InMemoryPictures, InMemoryProject, answered

from raycal.annotate.app import IMMUTABLE, REVALIDATED
from raycal.errors import InputError, StorageError


def test_page_and_its_files_need_no_session(stranger: Client) -> None:
    page, script, style = stranger.get("/"), stranger.get("/static/app.js"), stranger.get("/static/style.css")

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body == b"<!doctype html><title>raycal</title>"
    assert (script.status, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


def test_file_that_the_browser_has_is_not_sent_again(stranger: Client) -> None:
    first = stranger.get("/static/app.js")
    again = stranger.get("/static/app.js", {"If-None-Match": f'W/"other", {first.headers["etag"]}'})
    other = stranger.get("/static/app.js", {"If-None-Match": '"other"'})

    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (other.status, other.body) == (200, first.body)
    assert first.headers["cache-control"] == "no-cache"


def test_file_travels_compressed_to_a_browser_that_can_read_it(stranger: Client) -> None:
    plain = stranger.get("/static/app.js", {"Accept-Encoding": "br"})
    zipped = stranger.get("/static/app.js", {"Accept-Encoding": "br, gzip;q=0.8"})
    known = stranger.get("/static/app.js", {"Accept-Encoding": "gzip", "If-None-Match": zipped.headers["etag"]})

    assert "content-encoding" not in plain.headers
    assert (zipped.headers["content-encoding"], zipped.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(zipped.body) == plain.body
    assert (known.status, known.body) == (304, b"")


def test_head_has_no_body(stranger: Client) -> None:
    answer = stranger.request("HEAD", "/static/app.js")

    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "26")


def test_state_says_who_reads_it(owner: Client, ana: Client) -> None:
    assert owner.get("/api/state").json | {"classes": []} == {
        **{"project": "birds", "who": "owner", "role": "owner", "phase": "open", "message": "", "answered": 0},
        **{"classes": [], "epoch": "e1"},
    }
    assert {key: ana.get("/api/state").json[key] for key in ("who", "role")} == {"who": "person-1", "role": "annotator"}


def test_questions_answers_and_receipts(ana: Client, project: InMemoryProject) -> None:
    questions = ana.post("/api/next", {"client": "tab-1", "holding": ["1.0.0"], "want": 2}).json
    stored = ana.post("/api/answers", {"client": "tab-1", "events": [answered("aa", "1.0.1"), answered("bb", "1.0.2")]})
    again = ana.post("/api/answers", {"client": "tab-1", "events": [answered("bb", "1.0.2")]})

    assert [question["id"] for question in questions["questions"]] == ["1.0.1", "1.0.2"]
    assert questions["wait"] is None
    assert [(one["id"], one["status"], one["seq"]) for one in stored.json["receipts"]] == [
        ("aa", "stored", 0),
        ("bb", "stored", 1),
    ]
    assert [(one["id"], one["status"]) for one in again.json["receipts"]] == [("bb", "known")]
    assert again.json["state"]["answered"] == 2
    assert again.json["state"]["role"] == "annotator"
    assert project.answers == {"aa": ("person-1", "1.0.1"), "bb": ("person-1", "1.0.2")}


def test_undo_is_passed_on(ana: Client) -> None:
    answer = ana.post("/api/answers", {"client": "tab-1", "events": [{"type": "undone", "id": "cc"}]})

    assert (answer.status, answer.json["receipts"][0]["id"]) == (200, "cc")


def test_events_reach_the_project_as_they_were_sent(ana: Client, project: InMemoryProject) -> None:
    """The server does not check the events; the project checks them, and answers each with a receipt."""
    answer = ana.post("/api/answers", {"client": "tab", "events": [7, {"type": "odd"}, answered("good")]})

    assert answer.status == 200
    assert [one["status"] for one in answer.json["receipts"]] == ["refused", "refused", "stored"]
    assert list(project.answers) == ["good"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "The body is not valid JSON."),
        (b"", "The message is wrong: field required."),
        (b"[" * 60_000, "The body is not valid JSON."),
        (b'{"client": 7, "events": []}', "client should be a valid string."),
        (b'{"client": "tab", "events": {}}', "events should be a valid list."),
        (b'{"client": "a b", "events": []}', "client is wrong: string should match pattern"),
        (b'{"client": "tab", "events": [{"new_class": "\\ud800"}]}', "The body contains an invalid character."),
        (b'{"client": "tab", "events": ' + b"9" * 5000 + b"}", "The body is not valid JSON."),
    ],
)
def test_invalid_message_is_refused_with_a_sentence(ana: Client, body: bytes, error: str) -> None:
    answer = ana.post("/api/answers", body)

    assert answer.status == 400
    assert answer.error.startswith(error)


def test_more_images_of_a_cluster(ana: Client) -> None:
    known = ana.post("/api/more", {"client": "tab", "question": "1.1.0", "page": 1})
    unknown = ana.post("/api/more", {"client": "tab", "question": "1.1.9", "page": 1})

    assert known.json == {"images": list(range(24, 48))}
    assert (unknown.status, unknown.error) == (400, "there is no question 1.1.9")


def test_heartbeat_and_release_reach_the_project(ana: Client, project: InMemoryProject) -> None:
    alive = ana.post("/api/heartbeat", {"client": "tab", "holding": ["1.0.3"]})
    released = ana.post("/api/release", {"client": "tab", "questions": ["1.0.3"]})

    closed = ana.post("/api/release", {"client": "tab"})

    assert (alive.status, alive.json) == (200, {"lost": []})
    assert (released.status, released.json, closed.status) == (200, {}, 200)
    assert project.alive == [("person-1", "tab", ("1.0.3",))]
    assert project.released == [("tab", ("1.0.3",)), ("tab", None)]


def test_only_the_owner_renames_a_class(owner: Client, ana: Client, project: InMemoryProject) -> None:
    by_annotator = ana.post("/api/rename", {"label": 1, "name": "wren"})
    assert (by_annotator.status, by_annotator.error) == (403, "Only the owner of the project may rename a class.")
    done = owner.post("/api/rename", {"label": 1, "name": "wren"})
    assert (done.status, done.json["role"]) == (200, "owner")
    assert [(label, name) for _, label, name in project.renamed] == [(1, "wren")]
    unknown = owner.post("/api/rename", {"label": 9, "name": "wren"})
    assert (unknown.status, unknown.error) == (409, "This class does not exist; reload the page to see the classes.")
    for body in ({"label": "1", "name": "wren"}, {"label": 1}, {"label": 1, "name": "x" * 1001}, {"label": -1}):
        assert owner.post("/api/rename", body).status == 400
    assert len(project.renamed) == 1


def test_only_the_owner_starts_the_training(owner: Client, ana: Client, project: InMemoryProject) -> None:
    too_early = owner.post("/api/close")
    ana.post("/api/answers", {"client": "tab", "events": [answered("a")]})
    by_annotator = ana.post("/api/close")
    assert not project.is_closed
    closed = owner.post("/api/close")

    assert (too_early.status, too_early.error) == (409, "nothing was labelled in this round")
    assert by_annotator.status == 403
    assert by_annotator.error == "Only the owner of the project may start the training."
    assert (closed.status, closed.json["phase"], closed.json["role"]) == (200, "training", "owner")


def test_picture_is_kept_for_ever_only_under_a_versioned_address(ana: Client) -> None:
    """Without a version in the address, a browser could show the pictures of another project that was served at the
    same address before."""
    plain, versioned = ana.get("/image/7/full"), ana.get("/image/7/full?v=e1")
    again = ana.get("/image/7/full", {"If-None-Match": plain.headers["etag"]})

    assert (plain.status, plain.body, plain.headers["content-type"]) == (200, b"\xff\xd8 full 7", "image/jpeg")
    assert plain.headers["cache-control"] == REVALIDATED
    assert versioned.headers["cache-control"] == IMMUTABLE
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/image/100/full", "/image/-1/full", "/image/+1/full", "/image/007/full", "/image/1.0/full"),
        *("/image/%D9%A1/full", "/image/1_0/full", "/image/7/large", "/image/7/", "/image/7", "/image/7/full/"),
        *("/image/..%2f", "/image/..%2f..%2f/full", "/image/%2e%2e/full", "/image/1/..%2ffull", "/image/%00/full"),
        *("/image/99999999999999999999/full", "/api/", "/api/nothing", "/api/state/"),
    ],
)
def test_other_addresses_do_not_exist(ana: Client, path: str) -> None:
    answer = ana.get(path)

    assert answer.status == 404
    assert answer.error in ("There is nothing at this address.", "There is no such image.")


def test_bundle_holds_the_thumbnails_in_the_order_of_the_request(ana: Client) -> None:
    bundle = ana.post("/api/pictures", {"rows": [30, 2, 30]}).body
    length = int.from_bytes(bundle[:4], "big")

    assert json.loads(bundle[4 : 4 + length]) == {"images": [[30, 17], [2, 16]]}
    assert bundle[4 + length :] == b"RIFF thumbnail 30RIFF thumbnail 2"


def test_picture_that_cannot_be_shown_is_left_out_of_the_bundle(ana: Client, pictures: InMemoryPictures) -> None:
    pictures.unavailable = {30}
    bundle = ana.post("/api/pictures", {"rows": [30, 2]}).body

    assert bundle == b"\x00\x00\x00\x15" + b'{"images": [[2, 16]]}' + b"RIFF thumbnail 2"


def test_only_the_owner_learns_which_file_is_missing(owner: Client, ana: Client, pictures: InMemoryPictures) -> None:
    pictures.unavailable = {30}
    to_owner, to_ana = owner.get("/image/30/model"), ana.get("/image/30/model")

    assert (to_owner.status, to_ana.status) == (503, 503)
    assert to_owner.error == "This image cannot be shown now. /home/ada/birds/30.png: has changed"
    assert to_ana.error == "This image cannot be shown now."


@pytest.mark.parametrize(
    ("rows", "status"), [([0] * 200, 200), ([0] * 201, 400), ([-1], 400), ([True], 400), (["1"], 400), ([500], 404)]
)
def test_bundle_is_bounded(ana: Client, rows: list[object], status: int) -> None:
    assert ana.post("/api/pictures", {"rows": rows}).status == status


def test_full_disk_is_reported_and_nothing_is_acknowledged(ana: Client, project: InMemoryProject) -> None:
    project.fails_with = OSError(28, "No space left on device")
    full = ana.post("/api/answers", {"client": "tab", "events": [answered("a")]})
    project.fails_with = StorageError("the answers could not be stored")
    remote = ana.post("/api/answers", {"client": "tab", "events": [answered("a")]})
    project.fails_with = None
    stored = ana.post("/api/answers", {"client": "tab", "events": [answered("a")]})

    assert full.status == 503
    assert full.error == (
        "The server cannot use its storage (No space left on device); nothing was stored, so try again."
    )
    assert (remote.status, remote.error) == (503, "the answers could not be stored")
    assert stored.json["receipts"][0]["status"] == "stored"


def test_what_the_project_refuses_is_said(ana: Client, project: InMemoryProject) -> None:
    project.fails_with = InputError("the project is closed")

    assert ana.get("/api/state").error == "the project is closed"


def test_mistake_of_the_server_is_reported_without_what_people_typed(
    ana: Client, project: InMemoryProject, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project.fails_with = RuntimeError("Ana María typed something")
    # While the server prints, `capfd` must not be read: what is written between its reading and its clearing is lost.
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    answer = ana.get("/api/state")
    until = time.monotonic() + 5
    while not errors.getvalue().endswith("\n") and time.monotonic() < until:  # The error is printed after the response.
        time.sleep(0.01)
    output = errors.getvalue() + "".join(capfd.readouterr())

    assert answer.status == 500
    assert answer.error == "The server has made a mistake; what went wrong is in its output."
    assert "RuntimeError at in_memory.py:" in output
    assert "Ana" not in output


def test_two_hundred_requests_at_once(ana: Client, project: InMemoryProject) -> None:
    def send(number: int) -> int:
        return ana.post("/api/answers", {"client": "tab", "events": [answered(f"e{number}", f"1.0.{number}")]}).status

    with ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(send, range(200)))

    assert statuses == [200] * 200
    assert len(project.answers) == 200


def test_slow_pictures_hold_up_neither_answers_nor_questions(ana: Client, pictures: InMemoryPictures) -> None:
    pictures.gate.clear()
    waiting = [threading.Thread(target=ana.get, args=(f"/image/{row}/full",)) for row in range(40)]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)
    start = time.monotonic()
    answer = ana.post("/api/answers", {"client": "tab", "events": [answered("a")]})
    assert ana.get("/api/state").status == 200
    assert ana.post("/api/next", {"client": "tab", "holding": [], "want": 1}).status == 200
    seconds = time.monotonic() - start
    assert [thread.is_alive() for thread in waiting] == [True] * 40
    pictures.gate.set()
    for thread in waiting:
        thread.join()

    assert answer.status == 200
    assert seconds < 2


def test_guidelines_need_a_session(stranger: Client, ana: Client) -> None:
    assert stranger.get("/api/guidelines").status == 401
    assert ana.get("/api/guidelines").json["classes"][1] == {
        "name": "wren",
        "text": "",
        "examples": [1],
        "num_checked": 0,
    }
