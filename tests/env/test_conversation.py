import subprocess
import sys

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from env.conversation import ENV_ID, REPLY_LENGTH
from memory.features import STYLES

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


@pytest.mark.parametrize("settings", [{}, {"taste": "brief", "noise": 0.3, "rate": 0.5}])
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
    env = make().unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(BRIEF)
    env.reset(seed=1)
    with pytest.raises(TypeError, match="not int"):
        env.step(3)
