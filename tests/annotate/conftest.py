"""Fixtures: a server on a free port, and the people who use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from in_memory import Client, InMemoryPictures, InMemoryProject, token_of

from raycal.annotate.serve import AnnotationServer, ServerOptions
from raycal.annotate.tokens import Tokens
from raycal.storage.folder import Folder


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "index.html").write_text("<!doctype html><title>raycal</title>")
    (folder / "app.js").write_text("export const answer = 42;\n")
    (folder / "style.css").write_text("body { color: black }\n")
    (folder / "notes.txt").write_text("not for the page\n")
    (tmp_path / "secret.js").write_text("outside of the folder\n")
    return folder


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(Folder.at(str(tmp_path / "project")))


@pytest.fixture
def project() -> InMemoryProject:
    return InMemoryProject()


@pytest.fixture
def pictures() -> InMemoryPictures:
    return InMemoryPictures()


@pytest.fixture
def server(
    project: InMemoryProject, pictures: InMemoryPictures, tokens: Tokens, static: Path
) -> Iterator[AnnotationServer]:
    with AnnotationServer(project, pictures, tokens, ServerOptions(port=0), static=static) as started:
        yield started
        pictures.gate.set()


@pytest.fixture
def stranger(server: AnnotationServer) -> Client:
    """Somebody without a session."""
    return Client(server.port)


@pytest.fixture
def owner(server: AnnotationServer, stranger: Client) -> Client:
    return stranger.log_in(token_of(server))


@pytest.fixture
def ana(tokens: Tokens, stranger: Client) -> Client:
    """An annotator who was invited."""
    return stranger.log_in(tokens.invite("Ana María"))
