import pytest

from memory.taste.about_taste import about_content, admits, repeats

FIVE = "The moon is far. It has no air. It is dusty there. People have been there. It shines at night."


@pytest.mark.parametrize(
    "text",
    [
        "I do not know that yet. Tell me and I will remember it.",
        "You have not told me that yet. Tell me and I will remember it.",
        "That is beyond me: I am sprout, a very small model. A bigger model may help, see /model.",
        "I cannot do that well: I am sprout, a very small model.",
        "Sorry, I don\u2019t know your dog's name.",
        "I'm unable to open web pages.",
        "I don't have access to live data.",
    ],
)
def test_an_honest_admission_is_about_content(text: str) -> None:
    assert admits(text)
    assert about_content(text)


@pytest.mark.parametrize(
    "text",
    [
        "The moon is far away.",
        "Many people do not know that bees dance.",
        "Bees dance to tell where flowers are. I do not know how they learned it.",
        "I do not know whether you meant the moon of Earth. " + FIVE,
        "The horizon is beyond the sea.",
        "You told me about the moon.",
        "",
    ],
)
def test_other_replies_are_not_admissions(text: str) -> None:
    assert not admits(text)
    assert not about_content(text)


@pytest.mark.parametrize("text", ["Saved.", "It is Saturday 21 November 2026, 14:05.", "84", ""])
def test_chatter_around_a_tool_is_about_content(text: str) -> None:
    assert about_content(text, used_tools=True)
    assert not about_content(text)


def test_a_long_text_written_with_a_tool_has_a_style() -> None:
    assert not about_content(FIVE, used_tools=True)


@pytest.mark.parametrize(
    ("question", "memory", "reply"),
    [
        ("What is my dog called?", "The dog is called Fitzo.", "Fitzo."),
        ("What's my dog's name?", "The dog is called Fitzo.", "Your dog is called Fitzo!"),
        ("When do I get up?", "I get up at 6.", "At 6, as you told me."),
        ("Who is Bo?", "My cousin is Bo.", "Bo is your cousin."),
        ("Where does Al live?", "Al lives in Ui.", "He lives in Ui."),
    ],
)
def test_handing_out_a_memory_is_about_content(question: str, memory: str, reply: str) -> None:
    assert repeats(reply, question, [memory])
    assert not repeats(reply, question, [])
    assert not about_content(reply, question)


@pytest.mark.parametrize(
    ("question", "memory", "reply"),
    [
        ("Tell me about trees.", "I have a dog and a cat in the garden.", "Trees have leaves and roots."),
        ("Is Fitzo a good name for a dog?", "The dog is called Fitzo.", "It is short and easy to hear."),
        ("Tell me about tea.", "I like tea.", "Tea is a drink that many people like."),
        ("Tell me of the moon.", "The moon has no air.", FIVE + " It has no air."),
    ],
)
def test_a_memory_that_was_not_handed_out_changes_nothing(question: str, memory: str, reply: str) -> None:
    assert not about_content(reply, question, [memory])
