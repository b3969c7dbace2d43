"""The exact words of the preference card. The embedded model was trained on them: never change one."""

CARD_TEXTS = {
    "brief": "Keep replies brief.",
    "detailed": "Give detailed replies.",
    "bullets": "Use bullet points.",
    "no_bullets": "Do not use bullet points.",
    "friendly": "Be warm and friendly.",
    "formal": "Be formal.",
    "emoji": "Use emoji.",
    "no_emoji": "Do not use emoji.",
    "closing_question": "End with a question.",
    "no_closing_question": "Do not end with a question.",
    "code": "Show code examples.",
}
