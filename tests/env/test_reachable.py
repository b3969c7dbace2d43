"""Which tastes the embedded model can meet by itself: what no reply ever shows, no thumb can teach."""

import pytest

from env.people import BENCH_TASTES, TOPIC_TASTES, Person
from env.questions import questions
from env.skills.probes import everyday_prompts, system, user

REPLIES = 300


@pytest.fixture(scope="module")
def policy():
    from policies.base_models import resolve
    from policies.language_policy import LanguagePolicy

    return LanguagePolicy(resolve(None), device="cpu")


def shares(policy, prompts, tastes):
    """Share of the replies to `prompts` that meet each taste, at temperature 0.9 under an empty card."""
    from policies.policy import SamplingParams

    sampling = SamplingParams(temperature=0.9, max_new_tokens=160, seed=1)
    made = policy.generate([[system(), user(prompt)] for prompt in prompts], sampling)
    replies = [(one.text, prompt) for one, prompt in zip(made, prompts, strict=True)]
    return {taste: sum(Person(taste).satisfied(*reply) for reply in replies) / REPLIES for taste in tastes}


@pytest.mark.slow
def test_the_embedded_model_meets_every_taste_of_the_bench_now_and_then(policy):
    prompts = everyday_prompts("train", REPLIES, 0)
    assert {t: n for t, n in shares(policy, prompts, BENCH_TASTES).items() if not 0.02 <= n <= 0.6} == {}


@pytest.mark.slow
def test_the_embedded_model_meets_every_topic_taste_now_and_then(policy):
    prompts = questions("train", REPLIES, 0)
    assert {t: n for t, n in shares(policy, prompts, TOPIC_TASTES).items() if not 0.03 <= n <= 0.6} == {}
