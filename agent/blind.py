"""Now and then two replies instead of one, under two adapters and without labels: which one is better?

When that happens, and which reply stands first, follows from the conversation and the number of the turn
by a hash, before anything is said: neither the person nor an adapter has a say in it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator
from typing import TYPE_CHECKING

from agent import prompt
from agent.events import BlindReplies, BlindStarted, Event, TextDelta
from agent.turn import Drawn, Turn, read
from memory import comparisons
from memory.errors import AttuneError
from memory.forgetting import withheld
from memory.records import Adapter, Message
from policies.policy import Mixes, Policy, Side

if TYPE_CHECKING:
    from agent.runtime import Runtime

# One turn in so many, by the setting `blind`; 0 is never.
ONE_IN = {"off": 0, "rare": 12, "often": 3}
log = logging.getLogger("attune.blind")


def due(setting: str, conversation_id: str, turn: int) -> bool:
    """Whether turn number `turn` of a conversation is one of those that are compared."""
    one_in = ONE_IN[setting]
    return bool(one_in) and _drawn("due", conversation_id, turn) % one_in == 0


def active_is_second(conversation_id: str, turn: int) -> bool:
    """Whether the reply of the adapter in use stands second."""
    return _drawn("order", conversation_id, turn) % 2 == 1


def _drawn(what: str, conversation_id: str, turn: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{what}:{conversation_id}:{turn}".encode()).digest()[:8], "big")


class Blind:
    """The comparisons of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._failed: set[tuple[str | None, str | None]] = set()

    def sides(self, policy: Policy, source: Message, wanted: bool | None) -> tuple[Side, Side] | None:
        """(what speaks, what it is compared with) for the turn that answers `source`; None: no comparison.

        `wanted` None leaves it to the setting and to the stopping rule, True asks for it in any case. Where
        only the base can speak there is nothing to compare.
        """
        setting = self._runtime.settings.blind
        if wanted is False or (wanted is None and setting == "off") or not isinstance(policy, Mixes):
            return None
        found = self._contenders(policy.adapter)
        if found is None or (found[0].version, found[1].version) in self._failed:
            return None
        if wanted:
            return found
        now = due(setting, source.conversation_id, self._turn(source))
        return found if now and not self._decided(*found) else None

    def _contenders(self, active: str | None) -> tuple[Side, Side] | None:
        """What speaks and its candidate: the newest adapter on trial that was made after it, else the base.

        An older one is no candidate, however open its trial was left: what speaks has taken its place.
        While the one on trial speaks itself, it is compared with the base; one that was rolled back or set
        aside, or that was trained on something forgotten since, is not shown again.
        """
        from policies.watch import SET_ASIDE

        registry, base = self._runtime.registry, self._runtime.base_sha256
        known = {one.version: one for one in registry.list(base) if base in (None, one.base_sha256)}
        speaks = known.get(active) if active else None
        if active is not None and speaks is None:
            return None
        other: Adapter | None = None
        if speaks is None or speaks.status != "provisional":
            left, versions = self._rolled_back(), list(known)
            newer = versions if active is None else versions[versions.index(active) + 1 :]
            waiting = [
                one
                for one in map(known.__getitem__, newer)
                if one.status == "provisional"
                and one.version not in left
                and SET_ASIDE not in one.report
                and not one.forgotten
            ]
            other = waiting[-1] if waiting else None
        return None if speaks is other else (_side(speaks), _side(other))

    def _rolled_back(self) -> set[str]:
        left: set[str] = set()
        speaks: str | None = None
        for entry in self._runtime.registry.activations():
            if entry["kind"] == "rollback" and speaks is not None:
                left.add(speaks)
            speaks = entry["version"]
        return left

    def _decided(self, active: Side, other: Side) -> bool:
        from policies.win_rate import win_rate

        return win_rate(self._runtime.journal, active.version, other.version).decided is not None

    def _turn(self, source: Message) -> int:
        return sum(message.role == "user" for message in self._runtime.journal.path(source.id))

    def answer(self, turn: Turn, fitted: prompt.Fitted) -> Generator[Event, None, tuple[bool, Drawn | None]]:
        """(True, None) after two replies to choose between: the turn is over.

        Otherwise (False, the reply to go on with as in any other turn): that of the adapter in use when there
        is nothing to choose, None when the two cannot be mixed.
        """
        yield BlindStarted()
        draws = self._draw(turn, fitted)
        if not draws:
            return False, None
        if comparable(draws):
            yield self._keep(turn, fitted, draws)
            return True, None
        if draws[0].text:
            yield TextDelta(draws[0].text)
        return False, draws[0]

    def _draw(self, turn: Turn, fitted: prompt.Fitted) -> list[Drawn]:
        """The replies of both sides, that of the adapter in use first; empty when they cannot be mixed.

        Two that failed together are not tried again: the owner should not wait for that twice.
        """
        assert turn.sides is not None
        assert isinstance(turn.policy, Mixes)
        try:
            made = turn.policy.mixed(
                fitted.messages, turn.sides, turn.within(fitted), turn.tools, turn.cancel
            )
        except AttuneError as wrong:
            log.warning("no comparison: %s", wrong)
            self._failed.add((turn.sides[0].version, turn.sides[1].version))
            return []
        return [read(generated) for generated in made]

    def _keep(self, turn: Turn, fitted: prompt.Fitted, draws: list[Drawn]) -> BlindReplies:
        """Write both replies, durable on return. Until one is picked the conversation goes on from that of
        the adapter in use, which would have spoken alone."""
        assert turn.leaf is not None
        number = self._turn(turn.source)
        second = active_is_second(turn.source.conversation_id, number)
        ordered = draws[::-1] if second else draws
        journal = self._runtime.journal
        with journal.db.transaction():
            made = [(drawn.text, turn.generation(fitted, drawn.generated)) for drawn in ordered]
            cleared = [turn.known.cleared(journal, turn.leaf, *one) for one in made]
            replies = [found[:2] if found else one for found, one in zip(cleared, made, strict=True)]
            first, last = comparisons.keep(journal, turn.leaf, replies, head=int(second))
            for found, reply in zip(cleared, (first, last), strict=True):
                if found:
                    withheld.hold_back(journal.db, reply.id)
        active = draws[0].generated
        self._runtime.context_used = len(active.prompt_ids) + len(active.completion_ids)
        return BlindReplies(first, last, self._runtime.context_used)


def comparable(draws: list[Drawn]) -> bool:
    """Both say something of their own, to the end: no tool is called, neither was stopped, they differ."""
    texts = {" ".join(drawn.text.split()) for drawn in draws}
    return (
        len(texts) == len(draws)
        and "" not in texts
        and not any(drawn.calls or drawn.generated.finish_reason == "cancelled" for drawn in draws)
    )


def _side(adapter: Adapter | None) -> Side:
    return Side(None) if adapter is None else Side(adapter.version, adapter.path)
