"""Adding an adapter to the base for good: what the learning bench needs to stack one update on the last.

The product never does this: every adapter is trained from the untouched base on the whole ledger, so that
no drift adds up and a rating that is taken back is gone from the next one. A policy whose base was merged
still carries the digest of the untouched one, and must not be used for anything that outlives it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from policies.adapters.files import check_folder

if TYPE_CHECKING:
    from policies.language_policy import LanguagePolicy


def merge_for_good(policy: LanguagePolicy, folder: Path | str) -> None:
    """Add the adapter in `folder` to the weights of `policy`, which speaks with them from now on.

    Raises AdapterError if it is unsound or was trained on another base.
    """
    from peft import PeftModel

    check_folder(Path(folder), policy.spec.sha256)
    policy.swap(None)
    PeftModel.from_pretrained(policy.model, str(folder)).merge_and_unload()
    # peft leaves these marks on the base and warns about them the next time
    for mark in ("peft_config", "_hf_peft_config_loaded"):
        policy.model.__dict__.pop(mark, None)
    policy.model.requires_grad_(False).eval()
    policy.prefix.clear()
