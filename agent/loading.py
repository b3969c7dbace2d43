"""Loading what a turn needs: the model, the memory index and the embedder, here or in the child process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import Settings
from agent.paths import log_file
from agent.speaker import Speaker
from memory.facts import Facts

if TYPE_CHECKING:
    from memory.documents.learning import Documents
    from memory.index.embedder import Embedder
    from memory.recall.recall import Recall
    from policies.base_models import BaseSpec
    from policies.policy import Policy

Progress = Callable[[float, str], None]
# So long closing waits for a load that is under way in another thread: leaving is to be quick.
CLOSING_SECONDS = 1.0


class Loading(Speaker):
    """A Speaker that gets its policy and the search through its memories when they are first needed."""

    def __init__(
        self,
        home: Path,
        settings: Settings,
        in_process: bool,
        policy: Policy | None,
        embedder: Embedder | None,
        spec: BaseSpec | None,
    ) -> None:
        super().__init__(home, settings, policy, spec)
        self.in_process = in_process
        self.facts = Facts(self.db)
        self._embedder = embedder
        self._recall: Recall | None = None
        self._documents: Documents | None = None
        self._host: Any = None
        self._warming = threading.Lock()

    @property
    def ready(self) -> bool:
        return self._policy is not None and (self._recall is not None or not self.settings.memory)

    @property
    def policy(self) -> Policy:
        """The policy that speaks; loads it when it is not there yet."""
        if self._policy is None:
            self.warm()
        assert self._policy is not None
        return self._policy

    @property
    def embedder(self) -> Embedder:
        if self._embedder is None:
            if self.in_process:
                from memory.index.embedder import load_embedder

                self._embedder = load_embedder(self.settings.embedder)
            else:
                from agent.remote import RemoteEmbedder

                self._embedder = RemoteEmbedder(self.host, self.settings.embedder)
        return self._embedder

    @property
    def recall(self) -> Recall:
        """Memory search. The first use opens Chroma (about 1.5 s); the first search loads the embedder."""
        if self._recall is None:
            from memory.index.vector_index import VectorIndex
            from memory.recall.recall import Recall

            self._recall = Recall(self.facts, VectorIndex(self.home / "index", self.embedder))
        return self._recall

    @property
    def has_documents(self) -> bool:
        """Whether anything was learned; without the readers of all formats, which take long to import."""
        return self.db.row("SELECT 1 FROM document LIMIT 1") is not None

    @property
    def documents(self) -> Documents:
        """Learned documents. Opens no index and loads no embedder before there is something to find."""
        if self._documents is None:
            from memory.documents.learning import Documents
            from memory.documents.search import PassageSearch
            from memory.documents.store import DocumentStore
            from memory.index.vector_index import VectorIndex

            store = DocumentStore(self.db)
            index = VectorIndex(self.home / "index", self.embedder, kind="passage")
            self._documents = Documents(store, PassageSearch(store, index), self.home)
        return self._documents

    @property
    def host(self) -> Any:
        if self._host is None:
            from agent.model_host import ModelHost

            self._host = ModelHost(self.log_file.with_name("model.log"))
        return self._host

    @property
    def log_file(self) -> Path:
        return log_file(self.home)

    def warm(self, progress: Progress | None = None) -> None:
        """Load what a turn needs. Safe to call twice and from two threads; the second waits."""
        say = progress or (lambda fraction, stage: None)
        with self._warming:
            if self._policy is None:
                policy, spec = self._load(self.settings.model, lambda part, stage: say(0.7 * part, stage))
                with self._speaking:
                    self._policy, self._spec = policy, spec
                    self.sync_adapter()
                self._tell_adapters(spec)
            if self.settings.memory:
                say(0.7, "opening the memories")
                recall = self.recall
                # A single question on an empty home needs no index; the chat may need it any moment.
                known = self.has_documents
                if known:
                    self.documents.passages.sync()
                if not self.in_process or known or self.facts.count():
                    recall.sync()
                    say(0.85, "loading the embedder")
                    self.embedder.embed(["ready"])
            say(1.0, "ready")

    def _tell_adapters(self, spec: BaseSpec) -> None:
        from policies.adapters.left_out import left_out

        if sentence := left_out(self.registry, spec):
            self._notices.append(sentence)
        active = self.active_adapter()
        if active is not None and active.forgotten:
            from memory.forgetting.lineage import what_to_do

            self._notices.append(what_to_do(active))

    def _load(self, model: str | None, say: Progress) -> tuple[Policy, BaseSpec]:
        from policies.base_models import BaseSpec, resolve

        say(0.0, "finding the model")

        def fetching(fraction: float, stage: str) -> None:
            say(0.1 * fraction, stage)

        # In the child where there is one: a download would otherwise take turns with the screen.
        if self.in_process:
            spec = resolve(model, fetching)
        else:
            spec = BaseSpec(**self.host.call("resolve", fetching, model=model))
        say(0.1, f"loading {spec.name}")
        if self.in_process:
            from policies.language_policy import LanguagePolicy

            policy: Policy = LanguagePolicy(spec, device=self.settings.device)
        else:
            from agent.remote import RemotePolicy

            policy = RemotePolicy(self.host, spec, device=self.settings.device, progress=say)
        return policy, spec

    def use_model(self, model: str | None, progress: Progress | None = None) -> str:
        """Speak with another base from the next reply on; returns its name. None is sprout."""
        say = progress or (lambda fraction, stage: None)
        with self._warming:
            policy, spec = self._load(model, say)
            with self._speaking:
                old, self._policy, self._spec = self._policy, policy, spec
                self._refused = self._failed = None
                self.sync_adapter()
            if old is not None:
                old.close()
            self.settings = self.settings.model_copy(update={"model": model})
            say(1.0, "ready")
        return policy.base

    def close(self) -> None:
        """End the model, its process and the index, and close the database. Safe to call twice.

        Index and database are left to the end of the process where a load that is under way in another thread
        does not end in time: SQLite crashes where a connection is closed that is at work.
        """
        if self._policy is not None:
            self._policy.close()
        if self._host is not None:
            self._host.close()
        if not self._warming.acquire(timeout=CLOSING_SECONDS):
            return
        try:
            if self._recall is not None:
                self._recall.index.close()
            if self._documents is not None:
                self._documents.passages.index.close()
            self.db.close()
        finally:
            self._warming.release()
