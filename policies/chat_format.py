"""A chat list to the token ids of a prompt, through the tokenizer's own template.

Templates differ in what they take: some refuse a system turn, a tool turn, or two turns of one role
in a row (Gemma, Mistral). What a template does is found out by rendering probes once, and what it
refuses is folded into turns that it takes. Strings in any content that the tokenizer or template
uses as control tokens are broken up with a space, so that nobody can write a turn for somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from policies.generation.prefix_cache import common_prefix
from policies.generation.segments import Encoder
from policies.policy import ChatMessage

TOOL_TEXT = (
    "You may call tools. To call one, write <tool_call>"
    '{"name": "…", "arguments": {…}}</tool_call>. The tools, one JSON schema a line:\n'
)
MARK = "Qzxmark"
_PROBE_TOOL = {
    "type": "function",
    "function": {
        "name": "Qzxtool",
        "description": "probe",
        "parameters": {"type": "object", "properties": {"a": {"type": "string", "description": "a"}}},
    },
}


class ChatFormat:
    """Renders and encodes prompts for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        template = tokenizer.chat_template
        template = template if isinstance(template, str) else " ".join(map(str, template.values()))
        special = {token for token in tokenizer.all_special_tokens if len(token) > 1}
        added = getattr(tokenizer, "added_tokens_decoder", {}).values()
        special |= {token.content for token in added if token.special and len(token.content) > 1}
        # added tokens that are not "special" but that the template speaks, such as <tool_call> or <think>
        spoken = {
            token.content for token in added if len(token.content.strip()) > 2 and token.content in template
        }
        self._special = sorted(special, key=len, reverse=True)
        self._control = sorted(special | spoken, key=len, reverse=True)
        self._encoder = Encoder(tokenizer)
        self._probe()
        self.stop_ids = self._find_stops()
        self._special_ids = frozenset(tokenizer.convert_tokens_to_ids(token) for token in special)
        keep = {"<tool_call>", "</tool_call>"}
        self.hidden_ids = frozenset(
            tokenizer.convert_tokens_to_ids(token) for token in special if token not in keep
        )

    def render(self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()) -> str:
        """The prompt's text, generation prompt included."""
        return self._apply(self._prepare(messages, tools), tools if self.takes_tools else ())

    def encode(self, text: str) -> tuple[int, ...]:
        """Ids of a rendered prompt (its special tokens are tokens)."""
        return self._encoder.encode(text)

    def opening(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[int, ...]:
        """The ids that a prompt begins with that goes on from `messages` with whatever the user says next.

        Found by two renderings with different user messages, so it holds for templates that write the
        last turn in another way than those before; it ends with a control token, where no tokenizer joins.
        """
        one, other = (
            self.encode(self.render([*messages, {"role": "user", "content": text}], tools)) for text in "a7"
        )
        end = shared = common_prefix(one, other)
        while end and one[end - 1] not in self._special_ids:
            end -= 1
        return one[: end or shared]

    def neutralise(self, text: str, role: str = "user") -> str:
        """`text` with control strings broken up; a reply keeps the tool dialect, which is its own."""
        control = self._special if role == "assistant" else self._control
        if role == "assistant":
            control = [token for token in control if "tool_call" not in token]
        while True:
            before = text
            for token in control:
                if token in text:
                    text = text.replace(token, f"{token[0]} {token[1:]}")
            # breaking up one string may join the halves of another
            if text == before:
                return text

    def _prepare(
        self, messages: Sequence[ChatMessage], tools: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        turns = [self._clean(message) for message in messages]
        if tools and not self.takes_tools:
            listed = TOOL_TEXT + "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
            if turns and turns[0]["role"] == "system":
                turns[0] = {"role": "system", "content": f"{turns[0]['content']}\n\n{listed}"}
            else:
                turns.insert(0, {"role": "system", "content": listed})
        if not self.takes_tool_turns:
            turns = [_folded(turn) for turn in turns]
        if not self.takes_system:
            turns = [{**turn, "role": "user"} if turn["role"] == "system" else turn for turn in turns]
        return turns if self.takes_repeats else _merged(turns)

    def _clean(self, message: ChatMessage) -> dict[str, Any]:
        role = str(message["role"])
        turn: dict[str, Any] = {
            "role": role,
            "content": self.neutralise(str(message.get("content") or ""), role),
        }
        if role == "tool":
            turn["name"] = self.neutralise(str(message.get("name") or ""))
        calls = message.get("tool_calls") or ()
        if calls:
            turn["tool_calls"] = [
                {
                    "type": "function",
                    "function": {
                        "name": self.neutralise(str(call["name"])),
                        "arguments": self._clean_values(call["arguments"]),
                    },
                }
                for call in (call.get("function", call) for call in calls)
            ]
        return turn

    def _clean_values(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.neutralise(value)
        if isinstance(value, Mapping):
            return {self.neutralise(str(key)): self._clean_values(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean_values(each) for each in value]
        return value

    def _apply(
        self,
        turns: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        generation_prompt: bool = True,
    ) -> str:
        return self._tokenizer.apply_chat_template(
            list(turns),
            tools=list(tools) or None,
            tokenize=False,
            add_generation_prompt=generation_prompt,
            # reasoning models answer directly: a visible chain of thought is not a reply to rate
            enable_thinking=False,
        )

    def _shows(
        self, turns: Sequence[Mapping[str, Any]], *wanted: str, tools: Sequence[Mapping[str, Any]] = ()
    ) -> bool:
        try:
            text = self._apply(turns, tools)
        except Exception:
            # templates refuse with whatever exception their author chose; refused is refused
            return False
        return all(each in text for each in wanted)

    def _probe(self) -> None:
        user = {"role": "user", "content": "a"}
        reply = {"role": "assistant", "content": "b"}
        call = {"type": "function", "function": {"name": "Qzxtool", "arguments": {"a": "Qzxvalue"}}}
        calling = {"role": "assistant", "content": "", "tool_calls": [call]}
        result = {"role": "tool", "name": "Qzxtool", "content": MARK}
        self.takes_system = self._shows([{"role": "system", "content": MARK}, user], MARK)
        self.takes_repeats = self._shows([user, user, reply, {"role": "user", "content": MARK}], MARK)
        system = {"role": "system", "content": "s"}
        self.takes_tools = self.takes_system and self._shows([system, user], "Qzxtool", tools=[_PROBE_TOOL])
        self.takes_tool_turns = self._shows([user, calling, result], "Qzxtool", "Qzxvalue", MARK)

    def _find_stops(self) -> frozenset[int]:
        """Ids that end a reply: eos, and the control token that the template writes behind one."""
        stops = {self._tokenizer.eos_token_id} - {None}
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": MARK}]
        try:
            after = self._apply(turns, generation_prompt=False).rpartition(MARK)[2].lstrip()
        except Exception:
            return frozenset(stops)
        for token in self._special:
            if after.startswith(token):
                stops.add(self._tokenizer.convert_tokens_to_ids(token))
                break
        return frozenset(stops)


def _folded(turn: dict[str, Any]) -> dict[str, Any]:
    """A tool turn as a user turn, tool calls as text of the reply."""
    if turn["role"] == "tool":
        return {"role": "user", "content": f"<tool_response>\n{turn['content']}\n</tool_response>"}
    if "tool_calls" not in turn:
        return turn
    calls = [
        f"<tool_call>{json.dumps(call['function'], ensure_ascii=False)}</tool_call>"
        for call in turn["tool_calls"]
    ]
    content = "\n".join(([turn["content"]] if turn["content"] else []) + calls)
    return {"role": "assistant", "content": content}


def _merged(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last and last["role"] == turn["role"] and "tool_calls" not in last and turn["role"] != "tool":
            merged[-1] = {**turn, "content": f"{last['content']}\n\n{turn['content']}"}
        else:
            merged.append(turn)
    return merged
