"""The serving bench over a scripted agent, whose times are known numbers rather than measured ones."""

import json

import pytest

from env.bench.errors import BenchCancelled, BenchError
from env.bench.report import to_json
from env.bench.serving import Plan, Turn, as_table
from env.bench.serving import run as run_bench

PROMPTS = [f"prompt {n}" for n in range(12)]


def run(*args, **kwargs):
    """The bench with a person who reads in no time."""
    return run_bench(*args, pause=lambda seconds: None, **kwargs)


class Scripted:
    """First token: 10 ms, three times that while it trains, 1 ms more for each turn of a conversation.

    100 tokens in 1,000 ms. An update ends after `update_turns` turns; while it trains, every
    `fails_every`-th turn fails.
    """

    def __init__(self, update_turns: int = 7, fails_every: int = 0) -> None:
        self.update_turns, self.fails_every = update_turns, fails_every
        self.depth = self.left = self.started = self.stopped = self.trained_turns = 0
        self.asked: list[str] = []

    def new_conversation(self) -> None:
        self.depth = 0

    def turn(self, text: str) -> Turn:
        self.asked.append(text)
        self.depth += 1
        first = 9.0 + self.depth
        if self.left:
            self.left -= 1
            first *= 3
            self.trained_turns += 1
            if self.fails_every and self.trained_turns % self.fails_every == 0:
                raise OSError("the policy went away")
        return Turn(first, 100, 1000.0)

    def start_training(self) -> None:
        self.started += 1
        self.left = self.update_turns

    def training_running(self) -> bool:
        return self.left > 0

    def stop_training(self) -> None:
        self.stopped += 1
        self.left = 0


def presses(state: str) -> list[float]:
    slow = {"idle": 5.0, "streaming": 20.0, "training": 60.0}[state]
    return [1.0] * 19 + [slow] * 2


def test_the_figures_are_those_of_the_agent():
    agent = Scripted()
    result = run(agent, PROMPTS, raw_tokens_per_s=lambda prompts: 125.0, keypress=presses)
    assert result["failures_while_training"] == 0
    assert result["ttft_ratio_training"] == pytest.approx(3.0)
    assert result["ttft_ratio_turn20"] == pytest.approx(29 / 11)
    assert result["tokens_per_s_ratio_raw"] == pytest.approx(0.8)
    assert result["keypress_p95_ms"] == {"idle": 5.0, "streaming": 20.0, "training": 60.0}
    assert result["ttft_ms"]["idle"] == {"p50": 12.0, "p95": 14.0, "turns": 50}


def test_the_update_is_started_again_until_fifty_turns_were_made_beside_one():
    agent = Scripted(update_turns=7)
    result = run(agent, PROMPTS)
    assert result["turns_while_training"] == agent.trained_turns == 50
    assert result["updates_started"] == agent.started == 8
    assert result["turns_wholly_inside_an_update"] == 50 - 7  # the last turn of the seven that ended
    assert agent.stopped == 1


def test_turns_that_fail_are_counted_and_named_and_the_rest_goes_on():
    result = run(Scripted(fails_every=10), PROMPTS)
    assert result["failures_while_training"] == 5
    assert result["turns_while_training"] == 50
    assert result["ttft_ms"]["training"]["turns"] == 45
    assert result["failures"] == ["OSError: the policy went away"] * 5
    share, low, high = result["failure_share_95"]
    assert (share, low < 0.1 < high) == (0.1, True)


def test_if_every_turn_fails_the_ratio_is_unknown_and_the_failures_are_not():
    result = run(Scripted(fails_every=1), PROMPTS)
    assert (result["failures_while_training"], result["ttft_ratio_training"]) == (50, None)


def test_the_bare_model_gets_the_prompts_of_the_agent_in_turns_with_it():
    agent, seen = Scripted(), []

    def raw(prompts):
        seen.append((list(prompts), len(agent.asked)))
        return 50.0

    result = run(agent, PROMPTS, raw_tokens_per_s=raw, plan=Plan(raw_rounds=4, raw_prompts=3))
    assert result["raw_ratios"] == [2.0] * 4
    for number, (prompts, asked) in enumerate(seen):
        own = agent.asked[asked - 3 : asked] if number % 2 == 0 else agent.asked[asked : asked + 3]
        assert prompts == own


def test_the_person_reads_each_reply_of_a_long_conversation():
    read = []
    run_bench(Scripted(), PROMPTS, plan=Plan(long_conversations=2, long_turns=3), pause=read.append)
    assert read == [Plan().reading_s] * 6


def test_what_nobody_measures_is_null_and_not_a_number():
    read = json.loads(to_json(run(Scripted(), PROMPTS)))
    assert read["tokens_per_s_ratio_raw"] is None
    assert read["keypress_p95_ms"] == {"idle": None, "streaming": None, "training": None}


def test_an_update_that_never_runs_ends_the_bench_with_a_sentence():
    agent = Scripted(update_turns=0)
    with pytest.raises(BenchError, match="did not keep running in 50 starts"):
        run(agent, PROMPTS)
    assert agent.stopped == 1


def test_stopping_it_stops_the_update_too():
    agent = Scripted()
    with pytest.raises(BenchCancelled):
        run(agent, PROMPTS, cancelled=lambda: agent.trained_turns >= 3)
    assert (agent.trained_turns, agent.stopped, agent.left) == (3, 1, 0)


def test_progress_grows_and_the_table_names_the_bounds():
    told = []
    result = run(Scripted(), PROMPTS, keypress=presses, progress=lambda share, text: told.append(share))
    assert told == sorted(told)
    shown = as_table(result)
    assert "first token p95, training / idle" in shown
    assert shown.splitlines()[-1].split() == ["key", "press", "p95", "ms,", "training", "60.000", "<", "50"]


def test_no_prompts_is_refused():
    with pytest.raises(BenchError, match="at least one prompt"):
        run(Scripted(), [])
