"""Sends the files of runs to an MLflow server."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from raycal.storage.run_dir import MONTAGES

OUTDATED = b"The trial failed once and went on since; this server does not delete files.\n"


class Artifacts:
    """Sends files to runs, and remembers which files the server has.

    Raises:
        MlflowException: From every method, if the server does not answer or refuses the request.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self._client, self._uri = client, uri
        self._there: dict[str, set[str]] = {}

    def there(self, run: Run) -> set[str]:
        """The paths of the files and montages of a run that the server has."""
        run_id = run.info.run_id
        if run_id not in self._there:
            files = [*self._client.list_artifacts(run_id), *self._client.list_artifacts(run_id, MONTAGES)]
            self._there[run_id] = {file.path for file in files if not file.is_dir}
        return self._there[run_id]

    def send(self, run: Run, files: Mapping[str, bytes | None]) -> None:
        """Send files, given as contents by path, in place of existing files. A file whose content is None is left
        out."""
        contents = {name: content for name, content in files.items() if content is not None}
        if not contents:
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, content in contents.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._client.log_artifacts(run.info.run_id, folder)
        self.there(run).update(contents)

    def remove(self, run: Run, name: str) -> None:
        """Delete a file. If the server cannot delete files, replace its content with a note that it is outdated."""
        try:
            repository: Any = get_artifact_repository(str(run.info.artifact_uri), tracking_uri=self._uri)
            repository.delete_artifacts(name)
        except Exception:  # Each kind of storage raises a different error if it cannot delete.
            self.send(run, {name: OUTDATED})
        self.there(run).discard(name)
