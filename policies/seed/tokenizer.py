"""The seed's tokenizer: whole words that are common in the corpus, and single bytes for all else.

A value that the corpus makes up (a name, a code) is thus always spelled letter by letter, in the
prompt and in the reply alike, which makes copying one mechanism instead of thousands of word pieces.
The one merge there is joins a space to the letter behind it: a space of its own would put a token that
is everywhere between a question and the first letter of its answer. In `tokenizers` that is a
byte-level BPE with `ignore_merges`.
"""

from __future__ import annotations

import json
import string
from collections import Counter
from collections.abc import Iterable
from typing import Any

SPECIAL = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
CALL = ("<tool_call>", "</tool_call>")
SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTEXT_LENGTH = 2048

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'system' -%}"
    "<|system|>{{ message.content }}"
    "{%- if tools %}{{ '\\n\\nTools: ' }}"
    "{%- for tool in tools %}{{ (tool.function or tool).name }}{{ ', ' if not loop.last else '' }}"
    "{%- endfor %}"
    "{%- endif -%}<|end|>"
    "{%- elif message.role == 'assistant' -%}"
    "<|assistant|>{{ message.content or '' }}"
    "{%- for call in message.tool_calls or [] -%}"
    "{%- set f = call.function or call -%}"
    '{{ \'<tool_call>{"name": "\' + f.name + \'", "arguments": \' }}{{ f.arguments | tojson }}'
    "{{ '}</tool_call>' }}"
    "{%- endfor -%}<|end|>"
    "{%- else -%}"
    "<|{{ message.role }}|>{{ message.content }}<|end|>"
    "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def parts(messages: Iterable[dict[str, Any]]) -> list[tuple[str, bool]]:
    """(text, is it the assistant's own) pieces whose concatenation is what CHAT_TEMPLATE renders."""
    found: list[tuple[str, bool]] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "system":
            if message.get("tools"):
                content += "\n\nTools: " + ", ".join(message["tools"])
            found.append((f"<|system|>{content}<|end|>", False))
        elif role == "assistant":
            for call in message.get("tool_calls", ()):
                arguments = json.dumps(call["arguments"], ensure_ascii=False)
                content += f'<tool_call>{{"name": "{call["name"]}", "arguments": {arguments}}}</tool_call>'
            found += [("<|assistant|>", False), (content + "<|end|>", True)]
        else:
            found.append((f"<|{role}|>{content}<|end|>", False))
    return found


def build(texts: Iterable[str], size: int) -> Any:
    """Count words in `texts` and return a PreTrainedTokenizerFast of `size` tokens."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(piece for piece, _ in split.pre_tokenize_str(text))
    vocabulary = {token: i for i, token in enumerate((*SPECIAL, *CALL))}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocabulary[byte] = len(vocabulary)
    merges = [("Ġ", letter) for letter in string.ascii_letters + string.digits]
    for space, letter in merges:
        vocabulary[space + letter] = len(vocabulary)
    for piece, _ in counts.most_common():
        if len(vocabulary) == size:
            break
        vocabulary.setdefault(piece, len(vocabulary))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    core.pre_tokenizer = split
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    core.add_tokens([AddedToken(token, special=False, normalized=False) for token in CALL])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>", model_max_length=CONTEXT_LENGTH,
        chat_template=CHAT_TEMPLATE, clean_up_tokenization_spaces=False,
    )  # fmt: skip
