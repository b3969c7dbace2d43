"""Whose ids a row is made of: those of the base that is trained, and of no other."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import AddedToken

from env.datasets import Prompt, Reply, rows
from memory.database import open_home
from memory.journal import Journal
from memory.records import Generation, Message
from policies.adapters.registry import AdapterRegistry
from policies.language_policy import LanguagePolicy
from policies.rows import Tokeniser, padding
from policies.update.job import run_update
from policies.update.material import Material, NothingToLearn, material, spoken
from tests.policies.rated import LENIENT, SETTINGS, Rated, chat, small_exam, up_and_down

CALL = '<tool_call>{"name": "clock", "arguments": {}}</tool_call>'
FOREIGN = (9, 9, 9)


@pytest.fixture
def words(policy: LanguagePolicy) -> Tokeniser:
    return Tokeniser(policy.tokenizer, policy.base, policy.stop_ids)


def ids(policy: LanguagePolicy, text: str) -> tuple[int, ...]:
    return (*policy.tokenizer(text, add_special_tokens=False)["input_ids"], policy.tokenizer.eos_token_id)


def made(
    policy: LanguagePolicy, completion: tuple[int, ...], base: str = "", **changes: object
) -> Generation:
    text, prompt = policy.prompt(chat("Tell me about trees."))
    fields = Generation(
        "", base or policy.base, None, tuple(chat("Tell me about trees.")), text, prompt, (), {}
    )
    return replace(fields, completion_ids=completion, **changes)  # type: ignore[arg-type]


def said(journal: Journal, text: str, generation: Generation, beside: Message | None = None) -> Message:
    """A reply in a conversation of its own, or beside another one."""
    if beside is not None:
        return journal.add_reply(beside.conversation_id, beside.parent_id, text, generation)
    asked = journal.add_user(journal.start_conversation().id, None, "Tell me about trees.")
    return journal.add_reply(asked.conversation_id, asked.id, text, generation)


def test_a_sibling_that_another_base_made_is_read_as_text(
    journal: Journal, policy: LanguagePolicy, words: Tokeniser
) -> None:
    mine = ids(policy, "Trees are tall.")
    better = said(journal, "Trees are tall.", made(policy, mine))
    worse = said(journal, "Trees are long.", made(policy, FOREIGN, "another model"), better)
    journal.pick(better.id, worse.id)
    _, [pair] = rows(journal)
    assert pair.prompt.base == policy.base
    assert tuple(words.row(pair.prompt, pair.chosen).completion_ids) == mine
    rejected = words.row(pair.prompt, pair.rejected)
    assert tuple(rejected.completion_ids) == ids(policy, "Trees are long.")
    assert tuple(rejected.prompt_ids) == pair.prompt.ids


@pytest.mark.parametrize(("text", "raw"), [("Trees are tall.", " Trees are  tall."), ("", CALL)])
def test_a_reply_under_a_line_that_was_tried_keeps_its_own_ids(
    journal: Journal, policy: LanguagePolicy, words: Tokeniser, text: str, raw: str
) -> None:
    reply = said(journal, text, made(policy, ids(policy, raw), trial=("brief",)))
    journal.rate(reply.id, 1)
    [row], _ = rows(journal)
    assert row.prompt.ids == ()
    assert words.says(row.completion)
    assert tuple(words.row(row.prompt, row.completion).completion_ids) == ids(policy, raw)


def test_a_tokenizer_that_was_rebuilt_under_its_name_is_noticed(
    policy: LanguagePolicy, words: Tokeniser
) -> None:
    """What the ids of the old one spell under the new one is not what was said."""
    tried = Prompt(tuple(chat("Trees?")), "", (), policy.base)
    reply = Reply("Trees are tall.", ids(policy, "Rivers are long."), base=policy.base)
    assert tuple(words.row(tried, reply).completion_ids) == ids(policy, reply.text)
    assert not words.says(replace(reply, text=""))


def test_a_control_string_in_a_text_does_not_end_its_turn(policy: LanguagePolicy, words: Tokeniser) -> None:
    mark = policy.tokenizer.convert_ids_to_tokens(words.end_of_turn)
    tried = Prompt(tuple(chat("Trees?")), "", (), policy.base)
    row = words.row(tried, Reply(f"The mark {mark} ends a turn. {CALL}"))
    assert [at for at, one in enumerate(row.completion_ids) if one == words.end_of_turn] == [
        len(row.completion_ids) - 1
    ]
    assert CALL in policy.tokenizer.decode(row.completion_ids)


def test_a_tokenizer_without_an_end_and_without_filling_gets_something_to_fill_with(
    policy: LanguagePolicy,
) -> None:
    tokenizer = deepcopy(policy.tokenizer)
    tokenizer.eos_token = tokenizer.pad_token = None
    assert padding(tokenizer) == tokenizer.pad_token_id
    assert 0 <= padding(tokenizer) < len(tokenizer)


def test_where_the_marks_of_a_call_are_special_tokens_the_call_is_kept(policy: LanguagePolicy) -> None:
    tokenizer = deepcopy(policy.tokenizer)
    marks = [AddedToken(mark, special=True) for mark in ("<tool_call>", "</tool_call>")]
    tokenizer.add_tokens(marks, special_tokens=True)
    made = tuple(tokenizer(f"Let me look. {CALL}", add_special_tokens=False)["input_ids"])
    tried = Prompt(tuple(chat("Trees?")), "", (), policy.base)
    row = Tokeniser(tokenizer, policy.base).row(tried, Reply("Let me look.", made, False, policy.base))
    assert tuple(row.completion_ids) == made


def test_what_says_nothing_to_this_base(policy: LanguagePolicy, words: Tokeniser) -> None:
    call = ids(policy, CALL)
    assert words.says(Reply("", call, base=policy.base))
    assert words.says(Reply("Noted.", call, base="another model"))
    assert words.says(Reply("An edit."))
    assert not words.says(Reply("", call, base="another model"))
    assert not words.says(Reply(" \n", call, base="another model"))


def with_foreign_calls(home: Path, policy: LanguagePolicy) -> tuple[list[str], list[str]]:
    """(ids of ten rated replies of the base, ids of calls of another base that are rated, picked, edited)"""
    kept = [reply.id for reply in Rated(home, policy).talk(10, up_and_down)]
    db = open_home(home)
    journal = Journal(db)
    foreign = made(policy, FOREIGN, "another model")
    liked, picked, edited = (said(journal, "", foreign) for _ in range(3))
    journal.rate(liked.id, 1)
    beside = said(journal, "Trees are tall.", made(policy, ids(policy, "Trees are tall.")), picked)
    journal.pick(picked.id, beside.id)
    journal.edit_reply(edited.id, "It is noon.")
    db.close()
    return kept, [liked.id, picked.id]


def cut(home: Path, algorithm: str) -> Material:
    db = open_home(home)
    found = material(Journal(db), algorithm, hold_out=0.2)
    db.close()
    return found


def test_a_call_that_another_base_made_is_no_row(
    home: Path, policy: LanguagePolicy, words: Tokeniser
) -> None:
    _, calls = with_foreign_calls(home, policy)
    for algorithm in ("kto", "sft", "ppo", "dpo"):
        before = cut(home, algorithm)
        after = spoken(before, words)
        seen = {row.reply_id for row in (*after.train, *after.test, *after.thumbs, *after.pairs)}
        assert not seen & set(calls)
        assert len(after.thumbs) == len(before.thumbs) - 1 == after.routes["thumb"]
        assert (len(before.pairs), after.pairs, after.routes["pick"]) == (2, [], 0)
        assert spoken(after, words) == after
    assert "It is noon." in {row.completion.text for row in spoken(cut(home, "kto"), words).train}  # type: ignore[union-attr]


def test_where_nothing_else_was_rated_that_is_said(
    journal: Journal, home: Path, policy: LanguagePolicy, words: Tokeniser
) -> None:
    for value in (1, -1):
        journal.rate(said(journal, "", made(policy, FOREIGN, "another model")).id, value)
    with pytest.raises(NothingToLearn, match="rate a reply of this model"):
        spoken(cut(home, "kto"), words)


def test_no_update_learns_a_call_of_another_base(home: Path, policy: LanguagePolicy) -> None:
    kept, calls = with_foreign_calls(home, policy)
    result = run_update(home, settings=SETTINGS, policy=policy, exam=small_exam(), limits=LENIENT)
    db = open_home(home)
    learned = AdapterRegistry(db, home).get(result.adapter).report["trained_on"]["replies"]
    db.close()
    assert set(kept) <= set(learned)
    assert not set(calls) & set(learned)
