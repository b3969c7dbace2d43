from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from env.datasets import Pair, Prompt, Reply, Unpaired, rows
from memory.database import open_home
from memory.journal import Journal
from policies.adapters.files import max_abs_b
from policies.base_models import resolve
from policies.errors import Cancelled, LearnError
from policies.language_policy import LanguagePolicy
from policies.learners import dpo, kto, sft
from policies.learners.choose import choose
from policies.learners.lora import LearningSettings, epochs, learning_rate, warm_up
from policies.rows import Tokeniser, Tokens, score
from policies.update.material import NothingToLearn, material
from tests.policies.rated import Rated
from tests.policies.tiny_models import make_model

SETTINGS = LearningSettings(learning_rate=5e-3, epochs=6, batch_size=4)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguagePolicy]:
    folder = make_model(tmp_path_factory.mktemp("models") / "tiny", initializer_range=0.1)
    loaded = LanguagePolicy(resolve(str(folder)), device="cpu")
    yield loaded
    loaded.close()


def ledger(home: Path) -> tuple[list[Unpaired], list[Pair]]:
    db = open_home(home)
    found = rows(Journal(db))
    db.close()
    return found


def nothing(fraction: float, text: str) -> None:
    pass


def test_kto_raises_liked_replies_and_lowers_disliked_ones(
    home: Path, policy: LanguagePolicy, tmp_path: Path
) -> None:
    Rated(home, policy).talk(8, lambda at: 1 if at % 2 else -1)
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids)
    thumbs = [kto.Thumb(words.row(row.prompt, row.completion), row.label) for row in ledger(home)[0]]
    tokens = [thumb.tokens for thumb in thumbs]
    before = score(policy.model, tokens)
    seen: list[float] = []
    done = kto.train(
        policy.model,
        policy.tokenizer,
        thumbs,
        SETTINGS,
        tmp_path / "out",
        lambda fraction, text: seen.append(fraction),
        threading.Event(),
        anchors=tokens[:1],
    )
    assert score(policy.model, tokens) == pytest.approx(before), "the base came back changed"
    policy.swap("v1", str(done.folder))
    after = score(policy.model, tokens)
    policy.swap(None)
    moved = [(new - old, thumb.liked) for new, old, thumb in zip(after, before, thumbs, strict=True)]
    assert min(gain for gain, liked in moved if liked) > 0 > max(gain for gain, liked in moved if not liked)
    assert done.grad_norm > 0
    assert done.max_abs_b == pytest.approx(max_abs_b(done.folder))
    assert done.max_abs_b > 0
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) == done.steps


def test_dpo_widens_the_margin_of_every_pair(home: Path, policy: LanguagePolicy, tmp_path: Path) -> None:
    Rated(home, policy).siblings(5)
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids)
    pairs = [
        dpo.Preference(words.row(p.prompt, p.chosen), words.row(p.prompt, p.rejected))
        for p in ledger(home)[1]
    ]
    chosen, rejected = [p.chosen for p in pairs], [p.rejected for p in pairs]
    base = [score(policy.model, side) for side in (chosen, rejected)]
    done = dpo.train(
        policy.model, policy.tokenizer, pairs, SETTINGS, tmp_path / "out", nothing, threading.Event()
    )
    policy.swap("v1", str(done.folder))
    new = [score(policy.model, side) for side in (chosen, rejected)]
    policy.swap(None)
    margins = [(new[0][at] - base[0][at]) - (new[1][at] - base[1][at]) for at in range(len(pairs))]
    assert len(margins) == 5
    assert min(margins) > 0


def test_the_kto_loss_with_its_reference_point_trains_too(
    policy: LanguagePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kto, "FEWEST_FOR_KL", 4)
    monkeypatch.setattr(kto, "FEWEST_OF_EACH", 1)
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at % 2 == 0) for at in range(6)]
    assert kto.loss_type(3, 3) == "kto"
    done = kto.train(
        policy.model, policy.tokenizer, thumbs, SETTINGS, tmp_path / "out", nothing, threading.Event()
    )
    assert done.metrics["rewards/chosen"] > done.metrics["rewards/rejected"]


def test_what_is_taught_is_learned_however_unlikely_it_was(policy: LanguagePolicy, tmp_path: Path) -> None:
    """A reply that was liked is only made likelier than it was."""
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at < 2) for at in range(4)]
    taught = [replace(thumb, taught=thumb.liked) for thumb in thumbs]
    said = [thumb.tokens for thumb in thumbs[:2]]
    found = []
    for name, given in (("liked", thumbs), ("taught", taught)):
        # at this beta the loss of a liked reply is flat a few nats above where the base has it
        long = replace(SETTINGS, epochs=40, beta=4.0)
        done = kto.train(
            policy.model, policy.tokenizer, given, long, tmp_path / name, nothing, threading.Event()
        )
        policy.swap("v1", str(done.folder))
        found.append(score(policy.model, said))
        policy.swap(None)
    assert all(now > as_liked + 0.5 for now, as_liked in zip(found[1], found[0], strict=True))


def test_answers_in_one_style_are_no_measure_of_drift(
    policy: LanguagePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kto, "FEWEST_FOR_KL", 4)
    monkeypatch.setattr(kto, "FEWEST_OF_EACH", 1)
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20, 30 + at]), at % 2 == 0, taught=at == 0) for at in range(6)]
    done = kto.train(
        policy.model, policy.tokenizer, thumbs, SETTINGS, tmp_path / "out", nothing, threading.Event()
    )
    assert done.metrics["kl"] == 0


def test_same_seed_same_adapter(policy: LanguagePolicy, tmp_path: Path) -> None:
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at < 2) for at in range(4)]
    digests = {
        kto.train(
            policy.model, policy.tokenizer, thumbs, SETTINGS, tmp_path / name, nothing, threading.Event()
        ).sha256
        for name in ("one", "two")
    }
    assert len(digests) == 1


def test_a_stopped_run_saves_nothing_and_gives_the_base_back(policy: LanguagePolicy, tmp_path: Path) -> None:
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at < 2) for at in range(4)]
    stop, steps = threading.Event(), []

    def progress(fraction: float, text: str) -> None:
        steps.append(text)
        stop.set()

    with pytest.raises(Cancelled):
        kto.train(policy.model, policy.tokenizer, thumbs, SETTINGS, tmp_path / "out", progress, stop)
    assert len(steps) == 1
    assert not list((tmp_path / "out").glob("*.safetensors"))
    assert not [name for name, _ in policy.model.named_parameters() if "lora" in name]


def test_too_little_is_said_so(policy: LanguagePolicy, tmp_path: Path) -> None:
    with pytest.raises(LearnError, match="at least 2 rated replies"):
        kto.train(policy.model, policy.tokenizer, [], SETTINGS, tmp_path, nothing, threading.Event())
    with pytest.raises(LearnError, match="needs pairs"):
        dpo.train(policy.model, policy.tokenizer, [], SETTINGS, tmp_path, nothing, threading.Event())


def test_a_run_of_one_step_learns(policy: LanguagePolicy, tmp_path: Path) -> None:
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at < 2) for at in range(4)]
    tokens = [thumb.tokens for thumb in thumbs]
    before = score(policy.model, tokens)
    once = replace(SETTINGS, epochs=1)
    done = kto.train(
        policy.model, policy.tokenizer, thumbs, once, tmp_path / "out", nothing, threading.Event()
    )
    assert done.steps == 1
    assert done.grad_norm > 0
    assert done.max_abs_b > 0
    policy.swap("v1", str(done.folder))
    gain = [new - old for new, old in zip(score(policy.model, tokens), before, strict=True)]
    policy.swap(None)
    assert sum(gain[:2]) > sum(gain[2:])


def test_a_run_that_could_not_move_says_why(policy: LanguagePolicy, tmp_path: Path) -> None:
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at < 2) for at in range(4)]
    still = replace(SETTINGS, epochs=1, learning_rate=0.0)
    with pytest.raises(LearnError, match="learning rate was too small"):
        kto.train(policy.model, policy.tokenizer, thumbs, still, tmp_path / "out", nothing, threading.Event())
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_only_runs_of_some_length_warm_up() -> None:
    assert [warm_up(steps) for steps in (1, 2, 9, 10, 30)] == [0, 0, 0, 2, 2]


def test_rows_keep_the_exact_ids_and_end_their_turns(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(3, lambda at: 1)
    words = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids)
    for row in ledger(home)[0]:
        tokens = words.row(row.prompt, row.completion)
        assert tuple(tokens.prompt_ids) == row.prompt.ids
        assert tuple(tokens.completion_ids) == row.completion.ids
    edited = words.row(row.prompt, Reply("Trees are tall."))
    assert edited.completion_ids[-1] == words.end_of_turn == policy.tokenizer.eos_token_id
    assert policy.tokenizer.decode(edited.completion_ids[:-1]) == "Trees are tall."
    cut_off = words.row(row.prompt, Reply("Trees are", finished=False))
    assert cut_off.completion_ids[-1] != words.end_of_turn


def test_rows_of_another_model_are_rendered_anew(home: Path, policy: LanguagePolicy) -> None:
    Rated(home, policy).talk(1, lambda at: 1)
    row = ledger(home)[0][0]
    foreign = Prompt(row.prompt.messages, "another template", (1, 2), "another model")
    tokens = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids).row(
        foreign, Reply(row.completion.text, (9,))
    )
    assert tuple(tokens.prompt_ids) == row.prompt.ids
    assert tokens.completion_ids[-1] == policy.tokenizer.eos_token_id
    assert 9 not in tokens.completion_ids[:-1]


def test_auto_takes_dpo_only_where_pairs_are_the_larger_part(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.siblings(5)
    assert choose(*ledger(home)).algorithm == "dpo"
    rated.talk(6, lambda at: 1 if at % 2 else -1)
    choice = choose(*ledger(home))
    assert choice.algorithm == "kto"
    assert choice.reason == "6 thumbs and 5 pairs"


@pytest.mark.parametrize(("liked", "disliked"), [(1, 1), (2, 6), (6, 2), (5, 20), (1, 39)])
def test_the_two_sides_weigh_the_same_up_to_a_bound(liked: int, disliked: int) -> None:
    desirable, undesirable = kto.weights(liked, disliked)
    assert desirable * liked + undesirable * disliked == pytest.approx(liked + disliked)
    if disliked <= 8 * liked:
        assert desirable * liked == pytest.approx(undesirable * disliked)
    else:
        assert desirable == pytest.approx(8 * undesirable)


def test_likes_are_spread_over_the_batches() -> None:
    thumbs = [kto.Thumb(Tokens([1], [at]), at < 4) for at in range(16)]
    spread = [thumb.liked for thumb in kto.interleaved(thumbs)]
    assert [sum(spread[start : start + 4]) for start in range(0, 16, 4)] == [1, 1, 1, 1]


def test_settings_follow_the_size_of_the_model_and_of_the_ledger() -> None:
    free = LearningSettings()
    assert (
        learning_rate(free, 3_600_000) > learning_rate(free, 100_000_000) > learning_rate(free, 3_000_000_000)
    )
    assert learning_rate(LearningSettings(learning_rate=1.0), 1) == 1.0
    assert epochs(free, 8, 3_600_000) == 10
    assert epochs(free, 1000, 3_600_000) == 2
    assert epochs(LearningSettings(epochs=7), 8, 1) == 7


def test_a_reply_that_broke_off_is_trained_on_the_prompt_that_it_was_shown(
    home: Path, policy: LanguagePolicy
) -> None:
    Rated(home, policy).talk(1, lambda at: 1)
    row = ledger(home)[0][0]
    unknown = Prompt(row.prompt.messages, "", (), policy.base)
    tokens = Tokeniser(policy.tokenizer, policy.base, policy.stop_ids).row(
        unknown, Reply("Trees are", finished=False)
    )
    assert tuple(tokens.prompt_ids) == row.prompt.ids


def test_a_reply_without_a_word_teaches_nothing(home: Path, policy: LanguagePolicy) -> None:
    rated = Rated(home, policy)
    rated.talk(4, lambda at: 1 if at % 2 else -1)
    db = open_home(home)
    journal = Journal(db)
    before = material(journal, hold_out=0.0)
    said = journal.generation(rated.replies[0].id)
    for reason in ("error", "cancelled"):
        asked = journal.add_user(journal.start_conversation().id, None, "Hello?")
        mute = replace(said, finish_reason=reason, completion_ids=(), prompt_text="", prompt_ids=())
        reply = journal.add_reply(asked.conversation_id, asked.id, "", mute)
        journal.rate(reply.id, 1)
        journal.edit_reply(reply.id, f"What I wanted, {reason}.")
    cut = material(journal, "kto", hold_out=0.0)
    learned = {row.completion.text for row in cut.train}
    assert learned == {row.completion.text for row in before.train} | {
        "What I wanted, error.",
        "What I wanted, cancelled.",
    }
    with pytest.raises(NothingToLearn, match="there are none"):
        material(journal, "dpo")
    db.close()


def test_a_penalty_of_the_base_and_a_second_gpu_are_nothing_to_an_update(
    policy: LanguagePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A penalty would draw other replies than those whose probabilities are compared; over two GPUs
    transformers spreads a batch through a module that is no peft model."""
    import trl

    class OnTwo(trl.KTOConfig):
        def __post_init__(self) -> None:
            super().__post_init__()
            self._n_gpu = 2

    monkeypatch.setattr(trl, "KTOConfig", OnTwo)
    model = policy.model
    model.generation_config.repetition_penalty = 1.3
    came, seen = model.generation_config, []
    thumbs = [kto.Thumb(Tokens([5, 6, 7], [20 + at, 30 + at]), at < 2) for at in range(4)]

    def watch(share: float, text: str) -> None:
        seen.append((model.generation_config.repetition_penalty, model.generation_config.eos_token_id))

    done = kto.train(model, policy.tokenizer, thumbs, SETTINGS, tmp_path / "out", watch, threading.Event())
    assert done.steps == len(seen) > 0
    assert {penalty for penalty, _ in seen} <= {None, 1.0}
    assert {end for _, end in seen} == {came.eos_token_id}
    assert model.generation_config is came

    def broken(self: object, **_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(trl.KTOTrainer, "__init__", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        kto.train(model, policy.tokenizer, thumbs, SETTINGS, tmp_path / "not", nothing, threading.Event())
    assert model.generation_config is came


def test_the_base_comes_back_without_the_forward_pass_that_trl_puts_on_it(
    policy: LanguagePolicy, tmp_path: Path
) -> None:
    rows = [Tokens([5, 6, 7], [20 + at, 30 + at]) for at in range(4)]
    sft.train(policy.model, policy.tokenizer, rows, SETTINGS, tmp_path / "out", nothing, threading.Event())
    assert "forward" not in vars(policy.model)
