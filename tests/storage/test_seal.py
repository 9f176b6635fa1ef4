import json

import pytest

from raycal.storage.seal import seal, unseal

RECORD = {"reason": "iterations", "files": {"b": "1", "a": "2"}, "value": 0.1, "text": "é"}


@pytest.mark.parametrize("indent", [None, 1])
def test_sealed_record_is_json_and_read_back(indent: int | None) -> None:
    content = seal(RECORD, indent=indent)

    assert set(json.loads(content)) == {*RECORD, "sha256"}
    assert unseal(content) == RECORD


def test_record_without_a_digest_is_read_as_it_is() -> None:
    assert unseal(json.dumps(RECORD).encode()) == RECORD


def test_every_flipped_bit_is_noticed_or_changes_nothing() -> None:
    content = seal(RECORD)
    unnoticed = 0
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        try:
            found = unseal(bytes(flipped))
        except ValueError:
            continue
        # The flipped bit is in the key `sha256`: the record is intact, with one key more.
        assert {key: found[key] for key in RECORD} == RECORD
        unnoticed += 1
    assert unnoticed < 8 * len(content) / 20


@pytest.mark.parametrize("length", range(0, 100, 7))
def test_cut_record_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        unseal(seal(RECORD)[:length])


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b"null", b"\xff"])
def test_what_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        unseal(content)
