from raycal.tracking.description import MAX_CHARACTERS, description


def test_sentences_and_rows_become_a_list_and_a_table() -> None:
    assert description(["a wins.", "b_c * lost."], ["x", "y"], [["1", "a|b"], ["2", "<b>"]]) == (
        "- a wins.\n- b\\_c \\* lost.\n\n| x | y |\n| --- | --- |\n| 1 | a\\|b |\n| 2 | \\<b\\> |"
    )


def test_table_without_rows_is_left_out() -> None:
    assert description(["nothing finished."], ["x"], []) == "- nothing finished."


def test_long_table_is_cut_off_and_says_where_the_rest_is() -> None:
    text = description(["é" * 100], ["x"], [["ü" * 96] for _ in range(100)])
    *kept, empty, last = text.splitlines()
    assert len(text.encode()) <= MAX_CHARACTERS + 100
    assert empty == ""
    shown = sum(line.startswith("| ü") for line in kept)
    assert 30 < shown < 40
    assert last == f"{100 - shown} more rows are in report/summary.csv."
