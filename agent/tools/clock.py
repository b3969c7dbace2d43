"""What time it is."""

from __future__ import annotations

from datetime import datetime

from agent.tools.base import Tool, ToolContext

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def spoken(now: datetime) -> str:
    """English whatever the locale, as the model was trained: "It is Saturday 21 November 2026, 14:05."."""
    return f"It is {DAYS[now.weekday()]} {now.day} {MONTHS[now.month - 1]} {now.year}, {now:%H:%M}."


def run(arguments: dict[str, str], context: ToolContext) -> str:
    return spoken(datetime.now())


CLOCK = Tool("clock", "Tell the current date and time.", {}, run)
