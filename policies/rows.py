"""Rows of text as token ids, and how likely a model finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from env.datasets import Prompt, Reply
from policies.errors import LearnError
from policies.tool_calls import parse_tool_calls

# rows that are scored at a time; on an accelerator a call costs more than a few rows
SCORED, SCORED_AT_ONCE = 16, 64
# logits of one batch in float32 while rows are scored; softmax takes as much again
LOGIT_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Tokens:
    """One prompt with one completion, the end-of-turn token included where the reply was finished."""

    prompt_ids: list[int]
    completion_ids: list[int]


class Tokeniser:
    """Rows of text to rows of ids for one base: the exact ids wherever `base` itself made them."""

    def __init__(
        self, tokenizer: Any, base: str, stop_ids: Iterable[int] = (), max_length: int = 1024
    ) -> None:
        from policies.chat_format import ChatFormat

        self._tokenizer = tokenizer
        self._format = ChatFormat(tokenizer)
        self._base = base
        self._max_length = max_length
        self._stops = set(stop_ids) | self._format.stop_ids
        turn = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        ids = tokenizer.apply_chat_template(turn, tokenize=True, return_dict=True)["input_ids"]
        found = next((token for token in reversed(ids) if token in self._stops), tokenizer.eos_token_id)
        if found is None:
            raise LearnError(
                "This model's tokenizer has no end-of-turn token: choose another model to train."
            )
        self.end_of_turn: int = found

    def row(self, prompt: Prompt, reply: Reply) -> Tokens:
        """Text is tokenised anew after a change of model, and for an edit.

        What is over `max_length` goes from the start of the prompt, then from the end of the reply.
        """
        # a base can keep its name and change its tokenizer (the seed is rebuilt): then ids mean other text
        # and a reply that broke off may have come without any
        same = (
            bool(prompt.ids)
            and prompt.base == self._base
            and self._tokenizer.decode(list(prompt.ids)) == prompt.text
        )
        if same:
            prompt_ids = list(prompt.ids)
        else:
            prompt_ids = list(self._format.encode(self._format.render(prompt.messages, prompt.tools)))
        completion = list(reply.ids) if self._made(reply, same) else []
        if not completion:
            # a control string that stands in a text is no end of its turn
            said = self._format.neutralise(reply.text, "assistant")
            completion = list(self._tokenizer(said, add_special_tokens=False)["input_ids"])
        if reply.finished and (not completion or completion[-1] not in self._stops):
            completion.append(self.end_of_turn)
        completion = completion[: self._max_length - 1]
        return Tokens(prompt_ids[-(self._max_length - len(completion)) :], completion)

    def says(self, reply: Reply) -> bool:
        """Whether `reply` has anything to learn: a call of a tool that another base made has no text."""
        return bool(reply.text.strip()) or not reply.ids or self._made(reply)

    def _made(self, reply: Reply, sure: bool = False) -> bool:
        """Whether the ids of `reply` are this tokenizer's; `sure`: the prompt's ids are, so those are too.

        A sibling may come from another base than the prompt, and a prompt without ids has replies with some.
        """
        if not reply.ids or reply.base != self._base:
            return False
        # the marks of a tool call may be special tokens, too, and are no less part of what was said
        said = [token for token in reply.ids if token not in self._format.hidden_ids]
        return sure or _visible(self._tokenizer.decode(said)) == _visible(reply.text)


def _visible(text: str) -> str:
    """What of `text` the person sees, with white space evened out."""
    return " ".join(parse_tool_calls(text)[0].split())


def padding(tokenizer: Any) -> int:
    """The id that fills up short rows; a tokenizer without one gets its end-of-sequence token, or, without
    that as well, another special one or its last: filling is masked out everywhere."""
    if tokenizer.pad_token_id is None:
        spare = [*tokenizer.all_special_ids, len(tokenizer) - 1]
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(spare[0])
    return int(tokenizer.pad_token_id)


def pad_batch(rows: Sequence[Tokens], pad_id: int, device: Any) -> dict[str, Any]:
    """Right-padded tensors of shape (rows, longest): input_ids, attention_mask, completion_mask."""
    import torch

    longest = max(len(row.prompt_ids) + len(row.completion_ids) for row in rows)
    ids, attention, completion = [], [], []
    for row in rows:
        prompt, said = len(row.prompt_ids), len(row.completion_ids)
        empty = longest - prompt - said
        ids.append(row.prompt_ids + row.completion_ids + [pad_id] * empty)
        attention.append([1] * (prompt + said) + [0] * empty)
        completion.append([0] * prompt + [1] * said + [0] * empty)
    return {
        "input_ids": torch.tensor(ids, device=device),
        "attention_mask": torch.tensor(attention, device=device),
        "completion_mask": torch.tensor(completion, device=device),
    }


def score(
    model: Any, rows: Sequence[Tokens], batch_size: int | None = None, floor: float | None = None
) -> list[float]:
    """log p(completion | prompt) of each row in nats, summed over its completion tokens.

    With a `floor` no token counts as less likely than that.
    What rows of one batch begin with is computed once: those of one prompt should stand together.
    A batch has at most `batch_size` rows (default: SCORED, more on an accelerator), and fewer where their
    logits would take more than LOGIT_BYTES.
    """
    import torch

    from policies.learners.packed import log_probabilities, packing

    size = batch_size or (SCORED if model.device.type == "cpu" else SCORED_AT_ONCE)
    scores: list[float] = []
    most = LOGIT_BYTES // (4 * int(model.config.get_text_config().vocab_size))
    with packing(model), torch.inference_mode():
        for batch in batches(rows, size, most):
            scores += log_probabilities(model, batch, floor).tolist()
    return scores


def batches(rows: Sequence[Tokens], size: int, completion_tokens: int) -> Iterator[list[Tokens]]:
    """`rows` in their order, at most `size` at a time and, but for a single one, `completion_tokens`."""
    batch: list[Tokens] = []
    used = 0
    for row in rows:
        said = len(row.completion_ids)
        if batch and (len(batch) == size or used + said > completion_tokens):
            yield batch
            batch, used = [], 0
        batch.append(row)
        used += said
    if batch:
        yield batch
