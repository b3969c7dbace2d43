"""Ways to ask. Each skill has phrasings for training and others that no model here was trained on."""

from __future__ import annotations

TOPIC = {
    "train": (
        "Tell me about {t}.", "What do you know about {t}?", "Can you tell me something about {t}?",
        "What can you say about {t}?", "I want to know about {t}.", "Explain {t} to me.", "Talk to me about {t}.",
        "Give me some facts about {t}.", "Tell me a bit about {t}.", "What should I know about {t}?",
        "I am curious about {t}.", "Could you explain {t}?", "Please tell me about {t}.", "{t}?", "{t}",
        "Let us talk about {t}.", "Teach me about {t}.", "What is there to know about {t}?",
        "I would like to learn about {t}.", "Say something about {t}.", "Do you know anything about {t}?",
        "How about {t}?", "Describe {t}.", "Give me information on {t}.", "Help me understand {t}.",
        "I need some information about {t}.", "Any facts on {t}?", "What about {t}?", "Share what you know about {t}.",
        "Hey, tell me about {t}.", "Hi, what do you know about {t}?", "Can we talk about {t}?",
        "So, {t}. What can you tell me?", "I have a question about {t}.", "My kid asked me about {t}.",
        "Could you tell me about {t} please?", "Write something about {t}.", "Tell me everything about {t}.",
        "What are some facts about {t}?", "I was reading about {t} today.", "I was thinking about {t}.",
        "Would you explain {t}?", "Inform me about {t}.", "I do not know much about {t}.",
        "Today I want to learn about {t}.", "Next topic: {t}.", "Now {t}, please.", "And what about {t}?",
        "Are you able to tell me about {t}?", "What is interesting about {t}?", "Introduce me to {t}.",
        "Why do people care about {t}?", "How do {t} work?", "What is the deal with {t}?",
        "My friend likes {t}. What can you tell me?", "We talked about {t} at home.", "Good facts about {t}?",
        "Is there anything to know about {t}?", "tell me more about {t}", "Do you have facts about {t}?",
        "Start with {t}.", "Something about {t}, please.", "Let me hear about {t}.", "I wonder about {t}.",
        "What comes to mind when you hear {t}?", "Fill me in on {t}.", "I like {t}. Tell me about it.",
    ),
    "held_out": (
        "Could you share some facts about {t}?", "I would love to hear about {t}.", "Give me an overview of {t}.",
        "What can you teach me about {t}?", "Please explain {t}.", "Tell me what you know about {t}.",
        "I want to understand {t}.", "What do people say about {t}?", "Can you describe {t} for me?",
        "Educate me on {t}.", "Quick question about {t}: what should I know?", "I am interested in {t}.",
        "Walk me through {t}.", "Do tell me about {t}.", "Got any information about {t}?",
        "Can you help me learn about {t}?", "Hello! Tell me something about {t}.", "What is worth knowing about {t}?",
        "I keep hearing about {t}.", "Mind telling me about {t}?",
    ),
}  # fmt: skip

IN_STYLE = {
    "brief": {
        "train": (
            "{q} Keep it short.", "Briefly: {q}", "{q} In one sentence.", "{q} Be brief.", "In short, {q}",
            "Short answer please. {q}",
        ),
        "held_out": ("{q} Make it brief.", "{q} Just one sentence."),
    },
    "detailed": {
        "train": (
            "{q} In detail.", "{q} Give me all the details.", "{q} Be thorough.", "{q} I want a long answer.",
            "In detail, {q}", "{q} Explain it fully.",
        ),
        "held_out": ("{q} Give a detailed answer.", "{q} Please be very thorough."),
    },
    "bullets": {
        "train": (
            "{q} Use bullet points.", "{q} As a list.", "{q} In bullet points.", "{q} Make a list.",
            "List: {q}", "{q} Give me bullets.",
        ),
        "held_out": ("{q} Answer with bullet points.", "{q} As bullets, please."),
    },
}  # fmt: skip

MORE = {
    "train": ("Tell me more.", "More please.", "Go on.", "What else?", "Anything else?", "And more?", "more",
              "Can you say more?", "Continue.", "Is there more?"),
    "held_out": ("Please tell me more.", "What else do you know?", "Keep going."),
}  # fmt: skip

CLOCK = {
    "time": {
        "train": (
            "What time is it?", "What is the time?", "Tell me the time.", "Do you know what time it is?",
            "time?", "Can you tell me the time?", "What's the time now?", "How late is it?", "Current time please.",
            "Do you have the time?", "Give me the time.", "what hour is it", "Check the clock.", "Time please.",
            "I need to know the time.",
        ),
        "held_out": (
            "What time is it right now?", "Could you tell me the time?", "What does the clock say?",
            "May I know the time?", "Please tell me what time it is.", "What is the current time?",
        ),
    },
    "date": {
        "train": (
            "What day is it?", "What is the date?", "What is today's date?", "Which day is today?", "date?",
            "Tell me the date.", "What day is it today?", "Can you tell me the date?", "Today's date please.",
            "Do you know what day it is?", "What month is it?", "What year is it?", "Give me the date.",
            "Is it Monday today?", "I need the date.",
        ),
        "held_out": (
            "What is the date today?", "Could you tell me what day it is?", "Which date is it?",
            "Please tell me today's date.", "Do you know the date?", "What day of the week is it?",
        ),
    },
}  # fmt: skip

SUM = {
    "train": (
        "What is {e}?", "Calculate {e}.", "{e}", "{e} =", "How much is {e}?", "Compute {e}", "Can you work out {e}?",
        "Please calculate {e}.", "{e}?", "Solve {e}.", "What's {e}", "Work out {e} for me.", "Tell me {e}.",
        "I need {e}.", "Use the calculator: {e}", "How much does {e} make?", "Evaluate {e}", "Help me with {e}.",
    ),
    "held_out": (
        "Could you calculate {e}?", "What does {e} equal?", "Please work out {e}.", "What do you get for {e}?",
        "Can you compute {e} for me?", "Give me the result of {e}.",
    ),
}  # fmt: skip

REMEMBER = {
    "train": (
        "Remember that {s}", "Please remember that {s}", "Remember: {s}", "Note that {s}", "Keep in mind that {s}",
        "Do not forget that {s}", "Remember this: {s}", "Save this: {s}", "Take a note: {s}", "For your memory: {s}",
    ),
    "held_out": ("Can you remember that {s}", "Make a note that {s}", "Please keep in mind that {s}", "Memorise this: {s}"),
}  # fmt: skip

LOOK_UP = {
    "train": (
        "Search your memory for {x}.", "Look up {x} in your memory.", "What did I tell you about {x}?",
        "Search memory: {x}", "Find {x} in your notes.", "Check your memory for {x}.", "Look in your memory for {x}.",
        "What did I say about {x}?", "Recall {x}.", "Do you have notes on {x}?",
    ),
    "held_out": (
        "Please search your memory for {x}.", "What have I told you about {x}?", "Look through your notes for {x}.",
    ),
}  # fmt: skip

# Personal facts about anything: {n} is a noun, {v} a value. (statement, questions, answer)
RELATIONS = {
    "train": (
        (("My {n} is called {v}.", "I have a {n} called {v}.", "my {n} is named {v}", "The name of my {n} is {v}."),
         ("What is my {n} called?", "What is the name of my {n}?", "How is my {n} called?", "What did I name my {n}?",
          "do you know what my {n} is called"),
         "Your {n} is called {v}."),
        (("My favourite {n} is {v}.", "The {n} I like best is {v}.", "my favorite {n} is {v}"),
         ("What is my favourite {n}?", "Which {n} do I like best?", "what's my favorite {n}"),
         "Your favourite {n} is {v}."),
        (("My {n} is from {v}.", "My {n} comes from {v}.", "I got my {n} in {v}."),
         ("Where is my {n} from?", "Where does my {n} come from?", "Where did I get my {n}?"),
         "Your {n} is from {v}."),
        (("I keep my {n} in {v}.", "My {n} is in {v}.", "I left my {n} in {v}."),
         ("Where is my {n}?", "Where do I keep my {n}?", "Where did I leave my {n}?"),
         "Your {n} is in {v}."),
        (("The code of my {n} is {v}.", "My {n} has the code {v}.", "my {n} code is {v}"),
         ("What is the code of my {n}?", "Which code does my {n} have?", "what is my {n} code"),
         "The code of your {n} is {v}."),
    ),
    "held_out": (
        (("My {n} goes by {v}.", "I named my {n} {v}."),
         ("What name did I give my {n}?", "Can you tell me what my {n} is called?", "Do you remember the name of my {n}?"),
         "Your {n} is called {v}."),
        (("Of all things, my favourite {n} is {v}.",),
         ("Can you tell me my favourite {n}?", "Which {n} is my favourite?"),
         "Your favourite {n} is {v}."),
        (("I bought my {n} in {v}.",),
         ("Can you tell me where my {n} is from?",),
         "Your {n} is from {v}."),
        (("My {n} is kept in {v}.",),
         ("Can you tell me where my {n} is?", "Do you know where my {n} is?"),
         "Your {n} is in {v}."),
    ),
}  # fmt: skip
