"""Tests how much the real server sends to a page, and that the page asks no other host."""

from pathlib import Path
from typing import Any

from real import Annotator
from small_project import dataset, samples
from small_project import project as small_project

from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.static_files import FOLDER
from raycal.annotate.tokens import Tokens
from raycal.data.pictures import Pictures
from raycal.people.memory import OPEN
from raycal.storage.folder import Folder

MOST_BYTES = 60_000  # compressed, without the headers of the responses
RECEIVED = """() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".js"))
    .map(({ name, encodedBodySize, transferSize }) => [name, encodedBodySize, transferSize])"""


def test_page_receives_few_bytes_of_script_and_asks_no_other_host(context: Any, tmp_path: Path) -> None:
    folder, images, requested = Folder.at(str(tmp_path / "run")), dataset(), list[str]()
    tokens = Tokens(folder.folder("people"))
    context.on("request", lambda request: requested.append(request.url))
    with (
        small_project(folder) as project,
        Pictures(images) as pictures,
        AnnotationServer(project, pictures, tokens, ServerOptions(port=0)) as server,
    ):
        project.open_step(samples(4), 0, OPEN)
        home = f"http://127.0.0.1:{server.port}/"
        person = Annotator(context, f"{home}#t={tokens.invite('Ana')}")
        for _ in range(2):
            person.label(0)
        person.all_sent()
        person.page.keyboard.press("?")
        person.page.wait_for_selector("dialog.help")
        received = person.page.evaluate(RECEIVED)
        assert person.errors == []
    assert {name for name, _, _ in received} == {f"{home}static/{path.name}" for path in FOLDER.glob("*.js")}
    assert all(0 < body < sent for _, body, sent in received)  # Nothing came from the cache of the browser.
    assert sum(body for _, body, _ in received) <= MOST_BYTES
    assert [url for url in requested if not url.startswith((home, f"blob:{home}"))] == []
