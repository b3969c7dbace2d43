"""`attune bench start` on the real screen: its mark is on the first picture, and its key leaves."""

from __future__ import annotations

from agent.benches import start


def test_the_chat_paints_its_mark_before_a_model_is_there() -> None:
    told: list[str] = []
    result = start.run("/no/such/model", rounds=1, progress=lambda share, text: told.append(text))
    assert len(result["first_screen_ms"]["all"]) == 1
    assert result["cpu_ms"] > 0
    assert told == ["a first start, not counted", "start 1"]
