"""Tests that names of folders and files become names that every file system accepts."""

import os
from pathlib import Path

import pytest

from raycal.export.names import file_name, folder_names, safe_name, unique_names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("robin", "robin"),
        ("Haus-Sperling (m.)", "Haus-Sperling (m.)"),
        ("gr\u00fcn", "gr\u00fcn"),
        ("gru\u0308n", "gr\u00fcn"),
        ("<img src=x onerror=alert(1)>", "img src_x onerror_alert(1)"),
        ("a/b\\c", "a_b_c"),
        ("..", ""),
        ("../../etc/passwd", "etc_passwd"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("trailing. ", "trailing"),
        ("CON", "CON_"),
        ("nul.txt", "nul.txt_"),
        ("lpt1", "lpt1_"),
        ("console", "console"),
        ("\U0001f426", ""),
        ("bird \U0001f426 \u202eabc\x00", "bird _ _abc"),
        ("a:b*c?d|e", "a_b_c_d_e"),
        ("", ""),
        ("x" * 300, "x" * 80),
    ],
)
def test_safe_name(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_classes_that_become_the_same_name_have_folders_of_their_own() -> None:
    assert folder_names(["a/b", "a:b", "A_B", "\U0001f426", "..", "a_b-2"]) == (
        "a_b",
        "a_b-3",
        "A_B-4",
        "class-3",
        "class-4",
        "a_b-2",
    )


def test_every_name_can_be_a_folder(tmp_path: Path) -> None:
    names = folder_names(["\u0928" * 200, "con", "a\nb", "..", "\U0001f426" * 9, "=1+1", "~", "a" * 999, "a" * 998])
    for name in names:
        (tmp_path / name).mkdir()

    assert sorted(os.listdir(tmp_path)) == sorted(names)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("b/c.jpg", "c.jpg"),
        ("b/IMG 7.JPEG", "IMG 7.JPEG"),
        ("b/con.png", "con_.png"),
        ("b/\U0001f426.png", "image.png"),
        ("b/x<y>.png", "x_y.png"),
        ("image 7", "image 7"),
        ("b/a.p\u00fcg", "a.p\u00fcg"),
    ],
)
def test_file_name_keeps_its_suffix(source: str, name: str) -> None:
    assert file_name(source) == name


def test_repeated_names_are_counted_before_the_suffix() -> None:
    assert unique_names(["a.png", "A.png", "a.png", "a-2.png", "b"]) == ("a.png", "A-3.png", "a-4.png", "a-2.png", "b")
