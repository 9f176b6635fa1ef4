import http.client
import json
import socket
import threading
from pathlib import Path

import pytest
from in_memory import Client, InMemoryPictures, InMemoryProject, answered, token_of

from raycal.annotate.serve import AnnotationServer
from raycal.annotate.site import HEADERS
from raycal.annotate.tokens import SESSION_SECONDS, Tokens
from raycal.storage.folder import Folder

KIB = 1024


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(str(tmp_path / "access"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/state"),
        ("GET", "/api/events"),
        ("GET", "/api/nothing"),
        ("GET", "/image/0/thumbnail"),
        ("GET", "/image/..%2f"),
        *[
            ("POST", f"/api/{name}")
            for name in ("next", "more", "pictures", "answers", "close", "release", "heartbeat")
        ],
    ],
)
def test_nothing_is_answered_without_a_session(owner: Client, tokens: Tokens, method: str, path: str) -> None:
    secret = owner.cookie.partition("=")[2]
    name = tokens.cookie
    for cookie in (None, "", "wrong", f"{name}=", f"{name}=wrong", f"other={secret}"):
        answer = owner.request(method, path, b"{}", {"Cookie": cookie, "Content-Type": "application/json"})

        assert (cookie, answer.status) == (cookie, 401)
        assert answer.error == "You are not logged in; open the link that you were given."


def test_session_is_found_among_the_cookies_of_other_projects(owner: Client) -> None:
    answer = owner.get("/api/state", {"Cookie": f"raycal-0123=x; {owner.cookie} ; theme=dark"})

    assert answer.status == 200


def test_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(server: AnnotationServer, tokens: Tokens) -> None:
    answer = Client(server.port).post("/api/session", {"token": token_of(server)})
    name_and_value, *flags = answer.headers["set-cookie"].split("; ")
    name, _, value = name_and_value.partition("=")

    assert answer.json == {"who": "owner", "role": "owner"}
    assert name == tokens.cookie
    assert len(value) == 43  # A token of 43 characters holds 256 bits.
    assert sorted(flags, key=str.lower) == ["HttpOnly", f"Max-Age={int(SESSION_SECONDS)}", "Path=/", "SameSite=strict"]


def test_wrong_token_is_refused(server: AnnotationServer, tokens: Tokens, stranger: Client) -> None:
    first = token_of(server)
    second = token_of(server)  # The second token replaces the first one, as at the next start of the server.
    foreign = Tokens(Folder.at(str(Path(tokens._folder.path) / "other"))).owner_token()
    answers = [stranger.post("/api/session", {"token": token}) for token in (first, foreign, second[:-1], "", "é")]

    assert [answer.status for answer in answers] == [401] * 5
    assert {answer.error for answer in answers} == {"This link is not valid, or no longer valid; ask for a new one."}
    assert [answer.headers["set-cookie"] for answer in answers] == [None] * 5
    assert stranger.post("/api/session", {"token": second}).status == 200


def test_link_works_on_a_second_device_with_another_session(tokens: Tokens, stranger: Client) -> None:
    token = tokens.invite("Ana")
    laptop, phone = stranger.log_in(token), stranger.log_in(token)

    assert laptop.cookie != phone.cookie
    assert [one.get("/api/state").json["who"] for one in (laptop, phone)] == ["person-1"] * 2


def test_address_with_many_wrong_tokens_has_to_wait(server: AnnotationServer, owner: Client, stranger: Client) -> None:
    statuses = [stranger.post("/api/session", {"token": f"wrong{number}"}).status for number in range(12)]
    limited = stranger.post("/api/session", {"token": token_of(server)})

    assert statuses == [401] * 10 + [429] * 2
    assert limited.status == 429
    assert 50 <= int(limited.headers["retry-after"]) <= 60
    assert owner.get("/api/state").status == 200  # A person who is logged in can continue.


def test_revoked_person_is_out_at_once(tokens: Tokens, stranger: Client) -> None:
    token = tokens.invite("Ana")
    ana, bob = stranger.log_in(token), stranger.log_in(tokens.invite("Bob"))
    assert ana.get("/api/state").status == 200
    tokens.revoke("Ana")

    assert ana.get("/api/state").status == 401
    assert stranger.post("/api/session", {"token": token}).status == 401
    assert bob.get("/api/state").status == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:8700", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[", "a b"),
        *("192.168.7.9:8700", "localhost@evil.example", "127.0.0.1:8700:1", "[::1", "127.0.0.1, evil.example"),
    ],
)
def test_foreign_host_is_refused(owner: Client, host: str) -> None:
    for path in ("/", "/static/app.js", "/api/state", "/image/0/full", "/nothing"):
        answer = owner.get(path, {"Host": host})
        assert answer.status == 403
        assert answer.error == "This server does not answer under this host name."
    assert owner.post("/api/close", None, {"Host": host}).status == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "LOCALHOST:1", "127.0.0.1", "127.0.0.2:5", "[::1]:80"])
def test_loopback_is_answered_at_any_port(owner: Client, host: str) -> None:
    assert owner.get("/api/state", {"Host": host}).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://{host}"}, 200),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://{host}"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://{host}.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
def test_post_must_come_from_the_own_page(owner: Client, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(host=f"127.0.0.1:{owner.port}") for name, value in headers.items()}

    assert owner.post("/api/heartbeat", {"client": "tab", "holding": []}, sent).status == status
    assert owner.post("/api/session", {"token": ""}, sent).status == (401 if status == 200 else status)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/jsonp", 415),
        ("application/json, text/plain", 415),
        (None, 415),
        ("", 415),
    ],
)
def test_post_must_be_json(owner: Client, content_type: str | None, status: int) -> None:
    answer = owner.post("/api/heartbeat", {"client": "tab", "holding": []}, {"Content-Type": content_type})

    assert answer.status == status
    assert status == 200 or answer.error == "The content type of a POST must be application/json."


def padded(size: int) -> bytes:
    """A valid heartbeat of this many bytes."""
    body = b'{"client": "tab", "holding": []}'
    return body + b" " * (size - len(body))


@pytest.mark.parametrize(("size", "status"), [(64 * KIB, 200), (64 * KIB + 1, 413), (900 * KIB, 413)])
def test_body_over_the_limit_is_refused(owner: Client, size: int, status: int) -> None:
    whole = owner.post("/api/heartbeat", padded(size))
    body = padded(size)
    chunks = [body[start : start + 8 * KIB] for start in range(0, size, 8 * KIB)]
    chunked = owner.request("POST", "/api/heartbeat", iter(chunks), {"Content-Type": "application/json"})

    assert (whole.status, chunked.status) == (status, status)
    if status == 413:
        assert whole.error == chunked.error == "The request is larger than 64 KiB."
    assert owner.get("/api/state").status == 200


def raw(port: int, request: bytes, *, most: int = 1 << 16) -> bytes:
    """Everything that the server answers to some bytes, until it closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        while len(received) < most and (part := connection.recv(1 << 16)):
            received += part
    return received


def post_head(client: Client, *headers: str) -> bytes:
    lines = [
        *("POST /api/heartbeat HTTP/1.1", f"Host: 127.0.0.1:{client.port}", f"Cookie: {client.cookie}"),
        *("Content-Type: application/json", *headers, "", ""),
    ]
    return "\r\n".join(lines).encode()


def test_huge_body_is_refused_before_it_is_sent(owner: Client) -> None:
    expecting = raw(owner.port, post_head(owner, "Content-Length: 99999999999", "Expect: 100-continue"))

    assert expecting.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in expecting.lower()


def test_endless_chunked_body_is_cut_off(owner: Client) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    received = b""
    with socket.create_connection(("127.0.0.1", owner.port), timeout=10) as connection:
        connection.sendall(post_head(owner, "Transfer-Encoding: chunked"))
        with pytest.raises(OSError):  # noqa: PT012 - the server closes the connection at some point
            for _ in range(10_000):
                connection.sendall(chunk)
            received = connection.recv(100)

    assert received == b""
    assert owner.get("/api/state").status == 200


def test_body_that_does_not_arrive_is_not_waited_for(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycal.annotate.gate.BODY_SECONDS", 0.2)
    received = raw(owner.port, post_head(owner, "Content-Length: 10") + b"{}")

    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"The request has not arrived within 0.2 seconds." in received


@pytest.mark.parametrize("begin", [b"", b"G", b"GET / HTTP/1.1\r\nHost: localhost\r\nA: "])
def test_headers_that_do_not_arrive_are_not_waited_for(
    server: AnnotationServer, monkeypatch: pytest.MonkeyPatch, begin: bytes
) -> None:
    monkeypatch.setattr("raycal.annotate.uvicorn_server.HEADER_SECONDS", 0.2)

    assert raw(server.port, begin) == b""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/static/app.js")
    assert connection.getresponse().read() == b"export const answer = 42;\n"
    connection.sock.sendall(begin or b"G")  # This begins a second request on the same connection.
    assert connection.sock.recv(100) == b""
    connection.close()


def test_slow_response_is_waited_for(ana: Client, pictures: InMemoryPictures, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit for headers does not end a request that has arrived."""
    monkeypatch.setattr("raycal.annotate.uvicorn_server.HEADER_SECONDS", 0.1)
    pictures.gate.clear()
    threading.Timer(0.4, pictures.gate.set).start()

    assert ana.get("/image/1/full").status == 200


def test_length_that_lies_does_not_help(owner: Client) -> None:
    both = raw(owner.port, post_head(owner, "Content-Length: 10", "Transfer-Encoding: chunked") + b"0\r\n\r\n")
    negative = raw(owner.port, post_head(owner, "Content-Length: -5") + b"{}")

    assert both.startswith(b"HTTP/1.1 400 ")
    assert b"must not have both" in both
    assert negative.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods_are_refused_without_cors(owner: Client, method: str) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for path in ("/", "/api/state", "/api/answers", "/image/0/full"):
        answer = owner.request(method, path, None, headers)
        assert answer.status == 405
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_get_of_a_post_and_post_of_a_get_are_refused(owner: Client) -> None:
    assert owner.get("/api/answers").status == 405
    assert owner.post("/api/state").status == 405


def test_only_files_of_the_page_are_served(stranger: Client) -> None:
    for path in (
        *("/static/../", "/static/../secret.js", "/static/..%2fsecret.js", "/static/%2e%2e/secret.js", "/static/"),
        *("/static", "/static/%2e%2e%2fsecret.js", "/static//app.js", "/static/./app.js", "/static/notes.txt"),
        *("/static/APP.JS", "/static/app.js/", "/static/app.js%00", "/static/%00", "/../secret.js", "/img/../"),
        *("/docs", "/redoc", "/openapi.json", "/index.html", "/favicon.ico", "/static/..\\secret.js", "//etc/passwd"),
    ):
        answer = stranger.get(path)

        assert (path, answer.status) == (path, 404)
        assert answer.error == "There is nothing at this address."


def test_every_response_has_the_headers(server: AnnotationServer, owner: Client, project: InMemoryProject) -> None:
    answers = [
        owner.get("/"),
        owner.get("/static/app.js"),
        owner.get("/static/app.js", {"If-None-Match": owner.get("/static/app.js").headers["etag"]}),
        owner.get("/nothing"),
        owner.get("/api/state"),
        owner.get("/api/state", {"Cookie": None}),
        owner.get("/api/state", {"Host": "evil.example"}),
        owner.get("/image/0/full"),
        owner.get("/image/0/none"),
        owner.post("/api/session", {"token": "wrong"}),
        owner.post("/api/session", {"token": token_of(server)}),
        owner.post("/api/answers", b"{"),
        owner.post("/api/answers", {"client": "tab", "events": [answered("a")]}),
        owner.post("/api/pictures", {"rows": [1]}),
        owner.post("/api/close", None, {"Content-Type": "text/plain"}),
        owner.post("/api/close", padded(70 * KIB)),
        owner.request("PUT", "/"),
    ]
    project.fails_with = RuntimeError()
    answers.append(owner.get("/api/state"))

    assert [answer.status for answer in answers] == [
        *(200, 200, 304, 404, 200, 401, 403, 200, 404, 401, 200, 400, 200, 200, 415, 413, 405, 500)
    ]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert answer.headers["cache-control"]
        assert answer.headers["server"] is None
        assert answer.headers["access-control-allow-origin"] is None


def test_headers_forbid_scripts_and_frames_of_others() -> None:
    assert HEADERS["Content-Security-Policy"].split("; ") == [
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob:", "connect-src 'self'"),
        *("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"),
    ]
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ],
)
def test_what_is_not_http_gets_an_error_with_the_headers(server: AnnotationServer, request_: bytes) -> None:
    head, _, body = raw(server.port, request_).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body) == {"error": "This is not a valid HTTP request."}
    for name, value in HEADERS.items():
        assert f"{name}: {value}".lower().encode() in head.lower()


def test_nothing_is_logged(
    server: AnnotationServer, tokens: Tokens, stranger: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    token = tokens.invite("Ana María")
    ana = stranger.log_in(token)
    ana.get(f"/api/state?t={token}")
    ana.post("/api/answers", {"client": "tab", "events": [answered("a", new_class="Ana María")]})
    stranger.post("/api/session", {"token": "wrong"})
    raw(server.port, token.encode() + b"\r\n\r\n")
    server.stop()

    assert capfd.readouterr() == ("", "")
