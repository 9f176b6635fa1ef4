import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from in_memory import Client, InMemoryPictures, InMemoryProject, token_of

from raycal.annotate.serve import AnnotationServer, ServerOptions, listen, serve
from raycal.annotate.tokens import Tokens
from raycal.errors import InputError
from raycal.storage.folder import Folder

HERE = Path(__file__).parent


def test_server_listens_on_the_loopback_interface_alone(server: AnnotationServer) -> None:
    assert server._socket.getsockname()[0] == "127.0.0.1"
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.port}/#t=[\w-]{{43}}", server.link())


def test_response_is_not_held_back_by_the_network_stack(server: AnnotationServer) -> None:
    """With Nagle's algorithm, the body of a response waits 40 ms for the client to acknowledge the headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        connection.request("GET", "/static/app.js")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - start)
    connection.close()

    assert min(seconds[3:]) < 0.03


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def test_port_in_use_is_refused_if_it_was_chosen(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with pytest.raises(InputError, match=f"--port {port}: is in use; choose another one, or leave the option out"):
        listen(ServerOptions(port=port))


def test_next_free_port_is_used(taken: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = taken.getsockname()[1]
    monkeypatch.setattr("raycal.annotate.serve.DEFAULT_PORT", port)
    with listen(ServerOptions()) as opened:
        assert port < opened.getsockname()[1] <= port + 10


def test_no_free_port_is_one_line(taken: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = taken.getsockname()[1]
    monkeypatch.setattr("raycal.annotate.serve.DEFAULT_PORT", port)
    monkeypatch.setattr("raycal.annotate.serve.MORE_PORTS", 0)
    with pytest.raises(InputError, match=f"the ports {port} to {port} are all in use; choose another one with --port"):
        listen(ServerOptions())


def test_port_of_a_server_that_has_ended_is_free_again(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path
) -> None:
    with AnnotationServer(project, pictures, tokens, ServerOptions(port=0), static=static) as first:
        Client(first.port).get("/")
    with AnnotationServer(project, pictures, tokens, ServerOptions(port=first.port), static=static) as second:
        assert Client(second.port).get("/").status == 200


def test_server_ends_as_soon_as_it_is_asked_to(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path
) -> None:
    """The shortest of five ends counts, because a busy machine makes some of them longer."""
    seconds = []
    for _ in range(5):
        with AnnotationServer(project, pictures, tokens, ServerOptions(port=0), static=static) as server:
            client = Client(server.port)
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
            connection.request("GET", "/static/app.js")
            assert connection.getresponse().read() == client.get("/static/app.js").body
            start = time.perf_counter()
            assert server.stop()
            seconds.append(time.perf_counter() - start)
            connection.close()

    assert min(seconds) < 0.08


def test_open_request_is_answered_before_the_server_ends(
    server: AnnotationServer, owner: Client, pictures: InMemoryPictures
) -> None:
    pictures.gate.clear()
    answers = []
    request = threading.Thread(target=lambda: answers.append(owner.get("/image/0/full")))
    request.start()
    assert pictures.asked.wait(10)
    threading.Timer(0.1, pictures.gate.set).start()

    assert server.stop(10)
    request.join()
    assert [answer.status for answer in answers] == [200]


def test_ended_server_may_be_stopped_again_and_one_that_never_started_too(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path
) -> None:
    server = AnnotationServer(project, pictures, tokens, ServerOptions(port=0), static=static)
    assert server.stop()
    with AnnotationServer(project, pictures, tokens, ServerOptions(port=0), static=static) as other:
        assert other.stop()
        assert other.stop()


def test_session_outlives_the_server(
    project: InMemoryProject, pictures: InMemoryPictures, tmp_path: Path, static: Path
) -> None:
    folder = Folder.at(str(tmp_path / "project"))
    with AnnotationServer(project, pictures, Tokens(folder), ServerOptions(port=0), static=static) as first:
        owner = Client(first.port).log_in(token_of(first))
    with AnnotationServer(project, pictures, Tokens(folder), ServerOptions(port=0), static=static) as second:
        assert Client(second.port, owner.cookie).get("/api/state").json["who"] == "owner"


def test_invitation_and_revocation_by_another_process_reach_the_server(
    server: AnnotationServer, stranger: Client, tmp_path: Path
) -> None:
    other = Tokens(Folder.at(str(tmp_path / "project")))
    ana = stranger.log_in(other.invite("Ana"))
    other.revoke("Ana")
    until = time.monotonic() + 5
    while (status := ana.get("/api/state").status) == 200 and time.monotonic() < until:
        time.sleep(0.05)

    assert status == 401


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        (
            ServerOptions(host="0.0.0.0"),
            [
                "--host 0.0.0.0: other machines could read what people send; give --tls-cert and --tls-key, or "
                "--behind-proxy if a reverse proxy encrypts the connections"
            ],
        ),
        (ServerOptions(tls_cert="a.pem"), ["--tls-cert and --tls-key must be given together"]),
        (ServerOptions(host="label.example", tls_key="a.key"), ["--tls-cert and --tls-key must be given together"]),
        (ServerOptions(port=70000), ["--port 70000: should be between 0 and 65535"]),
        (
            ServerOptions(port=-1, tls_cert="/nowhere/a.pem", tls_key="/nowhere/a.key"),
            [
                "--port -1: should be between 0 and 65535",
                "--tls-cert /nowhere/a.pem: No such file or directory",
                "--tls-key /nowhere/a.key: No such file or directory",
            ],
        ),
        (
            ServerOptions(tls_cert=__file__, tls_key=__file__),
            [f"--tls-cert {__file__}: is no PEM certificate for the private key {__file__}, or the key has a password"],
        ),
    ],
)
def test_options_that_cannot_be_used(options: ServerOptions, problems: list[str]) -> None:
    with pytest.raises(InputError) as error:
        options.check()

    assert list(error.value.problems) == problems


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost", "::1", "[::1]"])
def test_loopback_needs_no_tls(host: str) -> None:
    ServerOptions(host=host).check()


@pytest.mark.parametrize(
    ("host", "reason"), [("no such host", "cannot be used"), ("192.0.2.1", "cannot be used: Cannot assign requested")]
)
def test_host_that_is_not_this_machine_is_one_line(host: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"--host {host}: {reason}"):
        listen(ServerOptions(host=host, behind_proxy=True, port=0))


def test_ipv6_loopback(project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    options = ServerOptions(host="::1", port=0)
    with AnnotationServer(project, pictures, tokens, options, static=static) as server:
        link = server.link()
        with urllib.request.urlopen(link.partition("#")[0], timeout=5) as answer:
            assert answer.status == 200

    assert link.startswith(f"http://[::1]:{server.port}/#t=")


def test_links_of_other_hosts() -> None:
    machine = socket.gethostname()
    assert ServerOptions(host="0.0.0.0", tls_cert="c", tls_key="k").link(8700, "T") == f"https://{machine}:8700/#t=T"
    assert ServerOptions(behind_proxy=True, names=("a.org",)).link(8700, "T") == "https://a.org/#t=T"
    assert ServerOptions(host="fd00::7", tls_cert="c", tls_key="k").link(1, "T") == "https://[fd00::7]:1/#t=T"


def certificate(folder: Path) -> tuple[str, str]:
    """A self-signed certificate for the loopback interface, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_tls(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    options = ServerOptions(host="localhost", port=0, tls_cert=cert, tls_key=key)
    with AnnotationServer(project, pictures, tokens, options, static=static) as server:
        link = server.link()
        base, _, token = link.partition("#t=")
        body = f'{{"token": "{token}"}}'.encode()
        for origin, status in ((f"http://localhost:{server.port}", 403), (f"https://localhost:{server.port}", 200)):
            request = urllib.request.Request(
                f"{base}api/session", body, {"Content-Type": "application/json", "Origin": origin}
            )
            try:
                context = ssl.create_default_context(cafile=cert)
                with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                    found, flags = answer.status, answer.headers["set-cookie"]
            except urllib.error.HTTPError as error:
                found = error.code
            assert found == status

    assert link.startswith(f"https://localhost:{server.port}/#t=")
    assert "; Secure" in flags


@pytest.mark.parametrize(
    ("forwarded", "origin", "status", "is_secure"),
    [
        ("https", "https://label.example.org", 200, True),
        ("https", "http://label.example.org", 403, False),
        ("http", "http://label.example.org", 200, False),
        ("evil, https", "https://label.example.org", 200, True),
        (None, "https://label.example.org", 200, False),
    ],
)
def test_behind_a_proxy(
    project: InMemoryProject,
    pictures: InMemoryPictures,
    tokens: Tokens,
    static: Path,
    forwarded: str | None,
    origin: str,
    status: int,
    is_secure: bool,
) -> None:
    options = ServerOptions(port=0, behind_proxy=True, names=("label.example.org",))
    headers = {"Host": "label.example.org", "X-Forwarded-Proto": forwarded, "Origin": origin}
    with AnnotationServer(project, pictures, tokens, options, static=static) as server:
        answer = Client(server.port).post("/api/session", {"token": token_of(server)}, headers)

    assert answer.status == status
    assert ("; Secure" in (answer.headers["set-cookie"] or "")) is is_secure


def test_proxy_tells_the_address_of_the_client(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path
) -> None:
    options = ServerOptions(port=0, behind_proxy=True)
    with AnnotationServer(project, pictures, tokens, options, static=static) as server:
        client = Client(server.port)
        # The addresses that the client itself writes at the beginning of the header have no effect.
        for number in range(10):
            client.post("/api/session", {"token": "wrong"}, {"X-Forwarded-For": f"10.0.0.{number}, 192.0.2.7"})
        limited = client.post("/api/session", {"token": "wrong"}, {"X-Forwarded-For": "192.0.2.7"})
        other = client.post("/api/session", {"token": "wrong"}, {"X-Forwarded-For": "192.0.2.7, 192.0.2.8"})

    assert (limited.status, other.status) == (429, 401)


def test_without_a_proxy_its_headers_are_not_trusted(server: AnnotationServer) -> None:
    client = Client(server.port)
    statuses = [
        client.post("/api/session", {"token": "wrong"}, {"X-Forwarded-For": f"10.0.0.{number}"}).status
        for number in range(11)
    ]

    assert statuses == [401] * 10 + [429]


def test_too_many_connections_are_refused(
    project: InMemoryProject,
    pictures: InMemoryPictures,
    tokens: Tokens,
    static: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("raycal.annotate.serve.MAX_CONNECTIONS", 3)
    with AnnotationServer(project, pictures, tokens, ServerOptions(port=0), static=static) as server:
        client = Client(server.port)
        opened = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        time.sleep(0.1)
        refused = client.get("/")
        for connection in opened:
            connection.close()
        time.sleep(0.1)
        answered = client.get("/")

    assert (refused.status, answered.status) == (503, 200)
    assert refused.error == "The server has too many connections; try again in a moment."
    assert refused.headers["X-Content-Type-Options"] == "nosniff"


def test_failure_of_the_rounds_ends_the_server(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path
) -> None:
    def background(stop: threading.Event) -> None:
        raise InputError("the run folder is gone")

    with pytest.raises(InputError, match="the run folder is gone"):
        serve(project, pictures, tokens, ServerOptions(port=0), background=background, static=static)
    assert [thread.name for thread in threading.enumerate() if thread.name == "annotate-server"] == []


SCRIPT = textwrap.dedent(
    """
    import sys, threading
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from in_memory import InMemoryPictures, InMemoryProject
    from raycal.annotate.tokens import Tokens
    from raycal.annotate.serve import ServerOptions, serve
    from raycal.output import run
    from raycal.storage.folder import Folder

    def rounds(stop):
        print("rounds begin", flush=True)
        stop.wait()
        print("rounds end", flush=True)

    def main():
        tokens = Tokens(Folder.at(sys.argv[1]))
        pictures = InMemoryPictures()
        if "stuck" in sys.argv:
            pictures.gate.clear()
        project, options = InMemoryProject(), ServerOptions(port=0)
        code = serve(project, pictures, tokens, options, background=rounds, static=Path(sys.argv[1]))
        print("saved", flush=True)
        return code

    run(main)
    """
)


@pytest.mark.parametrize(
    ("number", "code", "is_stuck"),
    [
        (signal.SIGINT, 130, False),
        (signal.SIGTERM, 143, False),
        (signal.SIGHUP, 129, False),
        (signal.SIGINT, 130, True),
    ],
    ids=["Ctrl-C", "SIGTERM", "closed terminal", "Ctrl-C while a picture cannot be read"],
)
def test_signal_ends_everything_soon(tmp_path: Path, number: signal.Signals, code: int, is_stuck: bool) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(HERE), *(["stuck"] if is_stuck else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        link = process.stdout.readline()
        match = re.fullmatch(r"label here: http://127\.0\.0\.1:(\d+)/#t=([\w-]{43})\n", link)
        assert match is not None
        assert process.stdout.readline() == "rounds begin\n"
        owner = Client(int(match[1])).log_in(match[2])
        streams = []
        for path in ["/api/events"] * 5 + ["/image/0/full"] * (3 if is_stuck else 0):
            connection = socket.create_connection(("127.0.0.1", owner.port))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {owner.cookie}\r\n\r\n".encode())
            streams.append(connection)
        assert all(stream.recv(12) == b"HTTP/1.1 200" for stream in streams[:5])
        start = time.monotonic()
        os.kill(process.pid, number)
        found = process.wait(10)
        seconds = time.monotonic() - start
        rest, errors = process.stdout.read(), process.stderr.read()
        for stream in streams:
            stream.close()

    assert found == code
    assert seconds < 8  # On a machine that is not busy this takes 2 s; a hung stream or picture would take forever.
    assert rest == "rounds end\nsaved\n"
    assert errors == ""


def test_command_does_not_wait_for_imports_that_a_server_does_not_need() -> None:
    code = "import sys, raycal.annotate.command; print({'scipy.stats', 'torch', 'mlflow', 'ray'} & {*sys.modules})"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed == "set()\n"
