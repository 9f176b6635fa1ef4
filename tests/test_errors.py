import pytest

from raycal.errors import shortened


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("no answer", 9, "no answer"),
        ("no answer from the server", 16, "no answer from…"),
        ("no answer from, the server", 18, "no answer from…"),
        ("HTTPConnection(host='127.0.0.1')", 20, "HTTPConnection(host…"),
        ("see https://example.org/a/long/address", 20, "see https://example…"),
        ("", 5, ""),
    ],
)
def test_text_is_cut_after_a_whole_word(text: str, most: int, expected: str) -> None:
    assert shortened(text, most) == expected
    assert len(shortened(text, most)) <= most
