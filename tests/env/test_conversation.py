import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from env.any_text import AnyText
from env.conversation import ENV_ID, REPLY_LENGTH
from memory.taste.features import STYLES

PROMPTS = [f"Tell me about thing {n}." for n in range(7)]
BRIEF, LONG = "Yes, it is.", "It is so and it was so. " * 12


@pytest.fixture
def make():
    made = []

    def build(**settings):
        made.append(gymnasium.make(ENV_ID, **{"prompts": PROMPTS, **settings}))
        return made[-1]

    yield build
    for env in made:
        env.close()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"taste": "brief", "noise": 0.3, "rate": 0.5},
        {"taste": "lists_for_how_to", "then": "formal", "drift_at": 1, "habit": "edits"},
        {"habit": "says_why"},
    ],
)
def test_gymnasium_finds_nothing_wrong(make, settings):
    check_env(make(**settings).unwrapped)  # warnings are errors here


def test_gymnasium_finds_it_by_module_and_id_in_a_fresh_process():
    code = (
        "import sys, env; assert 'gymnasium' not in sys.modules\n"
        "import gymnasium\n"
        f"print(gymnasium.make('env.conversation:{ENV_ID}', prompts=['Hello?']).reset(seed=1)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Hello?"


def test_the_reward_is_the_thumb_of_the_hidden_taste(make):
    env = make(taste="brief")
    env.reset(seed=4)
    assert env.step(BRIEF)[1:] == (1.0, False, False, {"verdict": 1, "satisfied": True})
    assert env.step(LONG)[1:] == (-1.0, False, False, {"verdict": -1, "satisfied": False})


def test_no_thumb_is_no_reward_but_the_truth_is_told(make):
    env = make(taste="brief", rate=0.0)
    env.reset(seed=4)
    assert env.step(BRIEF)[1:] == (0.0, False, False, {"verdict": 0, "satisfied": True})


def test_noise_reaches_the_thumb_and_not_the_truth(make):
    env = make(taste="brief", noise=1.0)
    env.reset(seed=4)
    assert env.step(BRIEF)[1:] == (-1.0, False, False, {"verdict": -1, "satisfied": True})


def test_noise_and_silence_are_drawn_anew_for_what_is_said_again(make):
    env = make(taste="brief", noise=0.3, rate=0.5, prompts=["Owls?"], max_episode_steps=400)
    env.reset(seed=4)
    verdicts = [env.step(BRIEF)[4]["verdict"] for _ in range(400)]
    assert 0.4 < verdicts.count(0) / 400 < 0.6
    assert 0.2 < verdicts.count(-1) / (400 - verdicts.count(0)) < 0.4
    env.reset(seed=4)
    assert [env.step(BRIEF)[4]["verdict"] for _ in range(400)] == verdicts


def episode(env, seed):
    prompt, _ = env.reset(seed=seed)
    told = [prompt]
    for turn in range(14):
        told.append(env.step(BRIEF if turn % 2 else LONG)[:2])
    return told


def test_the_seed_fixes_the_episode(make):
    settings = {"noise": 0.3, "rate": 0.5}
    assert episode(make(**settings), 5) == episode(make(**settings), 5)
    assert episode(make(**settings), 5) != episode(make(**settings), 6)


def test_every_prompt_is_asked_once_before_any_is_asked_again(make):
    env = make()
    asked = [env.reset(seed=2)[0]] + [env.step(BRIEF)[0] for _ in range(13)]
    assert sorted(asked[:7]) == sorted(PROMPTS)
    assert asked[7:] == asked[:7]


def test_without_a_taste_each_episode_draws_one_of_the_five(make):
    env = make()
    drawn = set()
    for seed in range(60):
        env.reset(seed=seed)
        drawn.add(env.unwrapped.person.taste)
    assert drawn == set(STYLES)


def test_the_person_never_leaves_and_the_time_limit_truncates(make):
    env = make(max_episode_steps=3)
    env.reset(seed=1)
    assert [env.step(BRIEF)[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    assert make().spec.max_episode_steps == 40


@pytest.mark.parametrize("reply", ["", "naïve 你好 🌱\n\x00", "x" * REPLY_LENGTH, "\ud800"])
def test_any_text_up_to_the_limit_is_an_action(make, reply):
    env = make()
    env.reset(seed=1)
    assert reply in env.action_space
    assert env.step(reply)[0] in env.observation_space
    assert "x" * (REPLY_LENGTH + 1) not in env.action_space
    assert 3 not in env.action_space


def test_actions_are_sampled_by_seed_within_the_space(make):
    one, other = make().action_space, make().action_space
    assert one == other
    one.seed(1)
    other.seed(1)
    drawn = [one.sample() for _ in range(3)]
    assert drawn == [other.sample() for _ in range(3)]
    assert all(text in one for text in drawn)


def test_ansi_shows_the_reply_its_thumb_and_the_next_prompt(make):
    env = make(taste="brief", render_mode="ansi")
    first, _ = env.reset(seed=1)
    assert env.render() == f"> {first}\n"
    following = env.step(BRIEF)[0]
    assert env.render() == f"{BRIEF} [+]\n> {following}\n"


def test_wrong_use_is_told(make):
    with pytest.raises(ValueError, match="loud"):
        make(taste="loud")
    with pytest.raises(ValueError, match="at least one prompt"):
        make(prompts=[])
    for taste in ("", 5, ("brief",)):
        with pytest.raises(ValueError, match="taste"):
            make(taste=taste)
    for prompts in ("Owls?", [1, 2]):
        with pytest.raises(ValueError, match="sequence of texts"):
            make(prompts=prompts)
    with pytest.raises(ValueError, match="the splits are train, held_out"):
        make(prompts=None, split="nope")
    env = make().unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(BRIEF)
    env.reset(seed=1)
    with pytest.raises(TypeError, match="not int"):
        env.step(3)


def test_who_edits_rewards_what_they_left_and_how_much(make):
    env = make(taste="brief", habit="edits")
    env.reset(seed=4)
    assert env.step(BRIEF)[1:] == (1.0, False, False, {"verdict": 0, "satisfied": True})
    _, reward, _, _, info = env.step(LONG)
    assert info == {"verdict": 0, "satisfied": False, "edit": "It is so and it was so."}
    assert -1.0 < reward < 0.0


def test_an_editor_who_does_not_bother_says_nothing(make):
    env = make(taste="brief", habit="edits", rate=0.0)
    env.reset(seed=4)
    assert [env.step(text)[1] for text in (BRIEF, LONG)] == [0.0, 0.0]


def test_why_is_told_with_the_thumb(make):
    env = make(taste="brief", habit="says_why", render_mode="ansi")
    env.reset(seed=4)
    assert env.step(LONG)[4]["why"]
    assert "why" not in env.step(BRIEF)[4]
    assert "[+]" in env.render()


def test_the_taste_drifts_at_its_step_of_every_episode(make):
    env = make(taste="brief", then="detailed", drift_at=2)
    for seed in (1, 2):
        env.reset(seed=seed)
        assert [env.step(BRIEF)[1] for _ in range(4)] == [1.0, 1.0, -1.0, -1.0]


def test_a_drift_is_to_another_taste_than_the_one_that_was_drawn(make):
    env = make(then="formal", drift_at=3)
    drawn = set()
    for seed in range(60):
        env.reset(seed=seed)
        drawn.add(env.unwrapped.person.taste)
    assert drawn == set(STYLES) - {"formal"}


def test_a_reset_tells_what_the_person_is_called(make):
    env = make(taste="uses_my_name")
    _, info = env.reset(seed=1)
    assert env.step(f"Hello, {info['name']}.")[1] == 1.0


UNICODE = ["Was ist 你好 🌱?", "\ud800 naïve", ""]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_vectors_of_conversations_are_the_same_as_single_ones(make, mode):
    alone = [make(prompts=UNICODE, taste="brief", max_episode_steps=3) for _ in range(2)]
    vector = gymnasium.make_vec(
        ENV_ID, num_envs=2, vectorization_mode=mode, prompts=UNICODE, taste="brief", max_episode_steps=3
    )
    vector = gymnasium.wrappers.vector.RecordEpisodeStatistics(vector)
    try:
        prompts, _ = vector.reset(seed=[5, 6])
        assert prompts == tuple(env.reset(seed=seed)[0] for env, seed in zip(alone, (5, 6), strict=True))
        for _ in range(3):
            replies = (BRIEF, LONG)
            prompts, rewards, terminated, truncated, info = vector.step(replies)
            steps = [env.step(reply) for env, reply in zip(alone, replies, strict=True)]
            assert prompts == tuple(step[0] for step in steps)
            assert rewards.tolist() == [step[1] for step in steps]
            assert truncated.tolist() == [step[3] for step in steps]
            assert info["verdict"].tolist() == [1, -1]
        assert terminated.tolist() == [False, False]
        assert info["episode"]["r"].tolist() == [3.0, -3.0]
    finally:
        vector.close()


def test_episode_statistics_and_a_time_limit_wrap_it(make):
    env = gymnasium.wrappers.TimeLimit(make(taste="brief", max_episode_steps=50).unwrapped, 2)
    env = gymnasium.wrappers.RecordEpisodeStatistics(env)
    env.reset(seed=1)
    env.step(BRIEF)
    _, _, terminated, truncated, info = env.step(LONG)
    assert (terminated, truncated) == (False, True)
    assert (info["episode"]["r"], info["episode"]["l"]) == (0.0, 2)


@pytest.mark.parametrize("text", ["", "abc", "naïve 你好 🌱\n\x00", "\U0010ffff", "\ud800"])
def test_any_text_survives_flattening(text):
    space = AnyText(12)
    flat = gymnasium.spaces.flatten(space, text)
    assert flat in gymnasium.spaces.flatten_space(space)
    assert flat.dtype == np.int32
    assert gymnasium.spaces.unflatten(space, flat) == text
