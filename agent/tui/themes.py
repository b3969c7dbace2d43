"""Two quiet themes. Meaning never rests on colour alone, so any other theme works too."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="attune-dark",
    primary="#7fb4a6",
    secondary="#8fa3c4",
    accent="#e0b36a",
    success="#8cc084",
    warning="#e0b36a",
    error="#d98880",
    foreground="#d6d9de",
    background="#15171c",
    surface="#1a1d23",
    panel="#22262e",
    dark=True,
    variables={"footer-key-foreground": "#7fb4a6", "block-cursor-text-style": "none"},
)

LIGHT = Theme(
    name="attune-light",
    primary="#2f7566",
    secondary="#4d648d",
    accent="#9a6a12",
    success="#3c7a34",
    warning="#9a6a12",
    error="#a8433a",
    foreground="#25282d",
    background="#faf9f6",
    surface="#f3f1ec",
    panel="#e7e4dc",
    dark=False,
    variables={"block-cursor-text-style": "none"},
)
