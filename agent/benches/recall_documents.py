"""`attune bench recall --documents FOLDER`: the ordinary learning and search of passages, on a fresh home."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from env.bench.errors import BenchCancelled
from env.bench.recall_documents import Corpus, PlainSplitter, Search, Span, load, run

Progress = Callable[[float, str], None]
BUDGET = 1_000
SIZE = 400


def measure(
    folder: Path,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Figures of `env.bench.recall_documents` for what the product finds ("ours") and a plain splitter
    ("plain"), with the bundled embedder in the same run. Tokens are those of that embedder."""
    from memory.index.embedder import MiniLMEmbedder

    embedder, tokens = MiniLMEmbedder(), offsets()
    corpora = load(folder, tokens)

    def stop() -> bool:
        return cancelled is not None and cancelled()

    def told(share: float, stage: str) -> None:
        if stop():
            raise BenchCancelled
        if progress is not None:
            progress(share, stage)

    def plain(corpus: Corpus) -> Search:
        return PlainSplitter(corpus, embedder.embed, BUDGET, SIZE)

    with tempfile.TemporaryDirectory(prefix="attune-documents-", ignore_cleanup_errors=True) as home:
        made: list[Any] = []

        def ours(corpus: Corpus) -> Search:
            from agent.runtime import Runtime

            # A home of its own, so that a question is asked of its corpus alone, as in the other arm.
            runtime = Runtime.open(Path(home) / corpus.name, embedder=embedder)
            made.append(runtime)
            if runtime.documents.learn([corpus.path], cancelled=stop).cancelled:
                raise BenchCancelled

            def search(question: str) -> list[Span]:
                found = runtime.documents.passages.search(question, BUDGET, lambda text: len(tokens(text)))
                return [(one.begin, one.end) for one in found]

            return search

        try:
            result = run(corpora, {"ours": ours, "plain": plain}, told)
        finally:
            for runtime in made:
                runtime.close()
    return {
        **result,
        "settings": {"budget_tokens": BUDGET, "plain_characters": SIZE, "embedder": embedder.name},
    }


def offsets() -> Callable[[str], list[int]]:
    """Gives the offset at which each token of a text begins, as the bundled embedder reads it."""
    from tokenizers import Tokenizer

    from memory.index.embedder import MiniLMEmbedder

    tokenizer = Tokenizer.from_file(str(Path(MiniLMEmbedder().source) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: [begin for begin, _ in tokenizer.encode(text, add_special_tokens=False).offsets]
