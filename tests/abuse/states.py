"""Makes files of a saved state that raycal did not write, with correct checksums."""

import hashlib
import io
import json
from typing import Any

import torch


def manifest(content: bytes) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}\n".encode() + content + b"\n"


def whole_state(pool: bytes, model: bytes) -> dict[str, bytes]:
    """The files of a state that holds the given pool and model, with right checksums."""
    files = {"iteration-000.pool.npz": pool, "iteration-000.model.pt": model}
    described = {
        "iteration": 0,
        "interactions": 10,
        "human_seconds": 1.0,
        "results": [],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    return {f"state/{name}": content for name, content in files.items()} | {
        "state/iteration-000.json": manifest(json.dumps(described).encode())
    }


def torch_file(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
