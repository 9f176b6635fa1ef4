import pytest

from raycal.data.excerpt import excerpt


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("a short text", 20, "a short text"),
        ("", 20, ""),
        ("  two\n\n lines\t here ", 20, "two lines here"),
        ("a text that is longer than twenty", 20, "a text that is…"),
        ("x" * 50, 20, f"{'x' * 19}…"),
        ("東京は日本の首都です" * 5, 12, "東京は日本の首都です東…"),
        ("nul \x00 bell \x07", 20, "nul \ufffd bell \ufffd"),
        ("\u202eevil\u202c \u2066x\u2069", 20, "evil x"),
        ("a\ud800b", 20, "a\ufffdb"),
        ("z" + "\u0301" * 500, 20, "z\u0301\u0301\u0301…"),
        ("👩\u200d👧 family", 20, "👩\u200d👧 family"),
        ("مرحبا بالعالم", 20, "مرحبا بالعالم"),
        (" " * 10**6 + "far away", 20, "far away"),
        ("word " * 10**6, 12, "word word…"),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_excerpt_is_one_line_that_disturbs_nothing(text: str, most: int, shown: str) -> None:
    assert excerpt(text, most) == shown
    assert len(shown) <= most + 3
