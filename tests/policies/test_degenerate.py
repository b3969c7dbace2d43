"""What is no reply at all, and what only looks like it: tables, rules and code."""

from __future__ import annotations

import pytest

from policies.degenerate import degenerate

TABLE = "| animal | sound |\n|:-------------|-------------:|\n| cats | purr |\n| dogs | bark |"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("A cat purrs when it is calm.", None),
        ("- Cats purr.\n- Cats sleep.\n- Cats play.", None),
        ("84", None),
        ("Great! \U0001f389\U0001f389 Have fun!", None),
        ("It is 14:05.", None),
        ("Ja, ja, ja!", None),
        ("```\nfor x in y:\n    print(x)\n```", None),
        (TABLE, None),
        (f"Cats and dogs.\n\n-------\n\n{TABLE}\n\nThat is all\n===========\n", None),
        ("+---------+---------+\n| animal  | sound   |\n+---------+---------+\n| a cat   | purrs   |", None),
        ("So:\n```python\n# ---------\nfor x in y:\n    print(x)\n# ---------\n```\nThat prints all.", None),
        ("So:\n```python\n# ---------- a part\nfor x in y:", None),
        ("", "empty"),
        (" \n ", "empty"),
        ("-----", "no words"),
        ("!?!?!?", "no words"),
        ("Cats ----------------", "one sign over and over"),
        ("- - - - - - - - cats are animals that many people love", "one sign over and over"),
        ("Cats\n-------\n-------\nsleep a lot, and they purr when they are calm.", "one sign over and over"),
        ("Cats:\n" + "-" * 400, "one sign over and over"),
        ("-------\n" * 40, "one sign over and over"),
        ("Cats.\n!!!!!!!!!!", "one sign over and over"),
        ("Some code for the 3 cats:\n```\n" + "!" * 400, "one sign over and over"),
        ("`````````` cats are animals that many people love", "one sign over and over"),
        ("the the the the the cat", "one word over and over"),
        ("a cat is a pet and " * 5, "the same phrase over and over"),
    ],
)
def test_what_is_no_reply_at_all(text: str, fault: str | None) -> None:
    assert degenerate(text) == fault
