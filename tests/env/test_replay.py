"""The owner's journal as episodes, and as a gymnasium environment of the same type as the simulation."""

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

import env.conversation as simulated
from env.episodes import episode, episodes
from env.replay import ENV_ID, NothingToReplay
from memory.records import Generation


def said(*messages: str) -> Generation:
    chat = (
        {"role": "system", "content": "You are Attune."},
        *({"role": "user", "content": m} for m in messages),
    )
    return Generation("", "tiny", None, chat, "", (), (), {})


@pytest.fixture
def branches(journal):
    """Two conversations: one of two turns whose second was answered twice, and one with a tool in it."""
    first = journal.start_conversation().id
    ask = journal.add_user(first, None, "Cats?")
    cats = journal.add_reply(first, ask.id, "Cats sleep.", said("Cats?"))
    more = journal.add_user(first, cats.id, "And dogs?", sent="<memories>…</memories> And dogs?")
    dogs = journal.add_reply(first, more.id, "Dogs bark.", said("Cats?", "And dogs?"))
    again = journal.add_reply(first, more.id, "Dogs run and bark.", said("Cats?", "And dogs?"))
    second = journal.start_conversation().id
    time = journal.add_user(second, None, "Time?")
    call = journal.add_reply(second, time.id, "", said("Time?"), ({"name": "clock", "arguments": {}},))
    result = journal.add_tool(second, call.id, "12:00", "clock")
    noon = journal.add_reply(second, result.id, "It is noon 🌞.", said("Time?", "12:00"))
    return {"cats": cats, "dogs": dogs, "again": again, "call": call, "noon": noon}


def rewards_of(journal, reply):
    return [step.reward for step in episode(journal, reply.id)]


def test_every_branch_is_an_episode_with_what_was_asked(journal, branches):
    told = [[(step.prompt, step.action) for step in steps] for steps in episodes(journal)]
    assert told == [
        [("Cats?", "Cats sleep."), ("And dogs?", "Dogs bark.")],
        [("Cats?", "Cats sleep."), ("And dogs?", "Dogs run and bark.")],
        [("Time?", ""), ("12:00", "It is noon 🌞.")],
    ]
    for steps in episodes(journal):
        assert [step.next_state for step in steps] == [*(step.state for step in steps[1:]), None]


def test_a_thumb_is_the_reward_and_an_edit_or_a_pick_without_one(journal, branches):
    assert rewards_of(journal, branches["dogs"]) == [0.0, 0.0]
    journal.pick(branches["again"].id, branches["dogs"].id)
    assert rewards_of(journal, branches["dogs"]) == [0.0, -1.0]
    assert rewards_of(journal, branches["again"]) == [0.0, 1.0]
    journal.edit_reply(branches["again"].id, "Dogs run.")
    assert rewards_of(journal, branches["again"]) == [0.0, pytest.approx(0.5)]
    journal.rate(branches["again"].id, -1)
    assert rewards_of(journal, branches["again"]) == [0.0, -1.0]
    journal.rate(branches["again"].id, 0)
    assert rewards_of(journal, branches["again"]) == [0.0, pytest.approx(0.5)]


@pytest.fixture
def replay(home, journal, branches):
    journal.rate(branches["cats"].id, 1)
    journal.rate(branches["noon"].id, -1)
    made = gymnasium.make(ENV_ID, home=str(home), render_mode="ansi")
    yield made
    made.close()


def test_gymnasium_finds_nothing_wrong_and_the_spaces_are_those_of_the_simulation(replay):
    check_env(replay.unwrapped, skip_render_check=True)  # warnings are errors here
    other = simulated.ConversationEnv(prompts=["Hello?"])
    assert replay.observation_space == other.observation_space
    assert replay.action_space == other.action_space


def play(env, seed=None, reply=lambda recorded: recorded):
    prompt, info = env.reset(seed=seed)
    told, over = [], False
    while not over:
        before = prompt
        action = reply(info["reply"])
        prompt, reward, over, truncated, info = env.step(action)
        told.append((before, action, reward, info["recorded"]))
        assert not truncated
    assert (prompt, info["reply"], info["state"]) == ("", "", ())
    return told


def test_saying_what_was_said_replays_the_journal(replay, journal):
    played = [play(replay, 3), play(replay), play(replay)]
    recorded = [[(s.prompt, s.action, s.reward, True) for s in steps] for steps in episodes(journal)]
    assert sorted(played) == sorted(recorded)
    assert play(replay) in recorded
    assert {reward for steps in played for _, _, reward, _ in steps} == {1.0, 0.0, -1.0}


def test_of_another_reply_nobody_can_tell(replay):
    for seed in range(3):
        for _, _, reward, recorded in play(replay, seed, lambda recorded: recorded + "!"):
            assert (reward, recorded) == (0.0, False)


def test_the_seed_fixes_the_order_of_the_episodes(replay):
    orders = {seed: [play(replay, seed), play(replay), play(replay)] for seed in range(8)}
    assert orders[1] == [play(replay, 1), play(replay), play(replay)]
    assert any(orders[seed] != orders[0] for seed in orders)


def test_the_state_is_what_the_policy_was_shown(replay):
    for seed in range(4):
        prompt, info = replay.reset(seed=seed)
        assert info["state"] == tuple(said(prompt).messages)


def test_vectors_of_it_work(home, replay):
    vector = gymnasium.make_vec(ENV_ID, num_envs=2, vectorization_mode="sync", home=str(home))
    prompts, info = vector.reset(seed=[1, 1])
    assert prompts[0] == prompts[1] == replay.reset(seed=1)[0]
    _, rewards, _, _, info = vector.step(tuple(info["reply"]))
    assert rewards[0] == rewards[1]
    assert info["recorded"].tolist() == [True, True]
    vector.close()


def test_a_home_without_a_reply_is_told_and_not_made(tmp_path, db, home):
    for place in (home, tmp_path / "nowhere"):
        with pytest.raises(NothingToReplay, match="chat with Attune first"):
            gymnasium.make(ENV_ID, home=str(place))
    assert not (tmp_path / "nowhere").exists()
    photos = tmp_path / "photos"
    photos.mkdir()
    with pytest.raises(NothingToReplay, match="chat with Attune first"):
        gymnasium.make(ENV_ID, home=str(photos))
    assert not list(photos.iterdir()), "a folder of somebody's was made a home"


def test_wrong_use_is_told(home, replay):
    fresh = gymnasium.make(ENV_ID, home=str(home)).unwrapped
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        fresh.step("x")
    replay.reset(seed=1)
    with pytest.raises(TypeError, match="not int"):
        replay.unwrapped.step(3)
    play(replay, 1)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        replay.unwrapped.step("x")


def test_the_last_reply_is_rendered_with_its_reward(replay):
    first, info = replay.reset(seed=1)
    assert replay.render() == f"> {first}\n"
    prompt, reward, *_ = replay.step(info["reply"])
    assert replay.render() == f"{info['reply']} [{reward:+.2f}]\n> {prompt}\n"
