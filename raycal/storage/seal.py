"""Digests, which distinguish an unchanged file from one that a disk or a person has changed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

DIGEST = "sha256"


def digest_of(content: bytes) -> str:
    """The SHA-256 digest of the content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def seal(record: Mapping[str, Any], *, indent: int | None = None) -> bytes:
    """The record as JSON, with the digest of its content under `sha256`."""
    return json.dumps({**record, DIGEST: _digest(record)}, indent=indent).encode()


def unseal(content: bytes) -> dict[str, Any]:
    """The record in a file that `seal` made, or in a file without a digest, which earlier versions wrote.

    Raises:
        ValueError: The file is damaged.
    """
    record = json.loads(content)
    if not isinstance(record, dict):
        raise ValueError("not a record")
    digest = record.pop(DIGEST, None)
    if digest is not None and digest != _digest(record):
        raise ValueError("its content does not match its recorded digest")
    return record


def _digest(record: Mapping[str, Any]) -> str:
    return digest_of(json.dumps(record, sort_keys=True).encode())
