"""An S3-like server in its own process, which can be told to fail.

Run as a script, the server prints its port. The method `fail` makes later requests end with a status.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

BUCKET = "bucket"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}
FAIL = "/-/fail/"


class ObjectStore:
    """The server, with one bucket; a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())
        self._wait()
        from pyarrow import fs

        fs.FileSystem.from_uri(self.uri("") + "&allow_bucket_creation=true")[0].create_dir(BUCKET)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def uri(self, name: str) -> str:
        """The URI of a folder in the bucket."""
        return f"s3://{BUCKET}/{name}?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:{self._port}"

    def fail(self, requests: int, *, after: int = 0) -> None:
        """Answer `after` requests, then answer the next `requests` requests with status 503. With `requests` 0 the
        failures end."""
        urlopen(f"http://127.0.0.1:{self._port}{FAIL}{after}/{requests}").close()

    def _wait(self) -> None:
        for _ in range(300):
            try:
                return self.fail(0)
            except URLError:
                time.sleep(0.1)
        raise TimeoutError("the object store does not answer")


class Faulty:
    """A WSGI application that wraps another one and can make it fail."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = Lock()
        self._answered = self._failing = 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith(FAIL):
            with self._lock:
                self._answered, self._failing = map(int, path.removeprefix(FAIL).split("/"))
            start_response("200 OK", [])
            return []
        if self._fails():
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Length", "0")])
            return []
        return self._application(environ, start_response)

    def _fails(self) -> bool:
        with self._lock:
            if not self._failing:
                return False
            if self._answered:
                self._answered -= 1
                return False
            self._failing -= 1
            return True


def serve() -> None:
    """Answer requests until the process is killed."""
    import logging

    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, Faulty(DomainDispatcherApplication(create_backend_app)), threaded=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
