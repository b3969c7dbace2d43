from __future__ import annotations

import shutil

from policies.adapters.left_out import left_out
from policies.adapters.registry import AdapterRegistry
from policies.base_models import BaseSpec, resolve
from tests.policies.tiny_models import shared_adapter, shared_model

OTHER = BaseSpec("owner/other", "", "2" * 64)


def add(registry: AdapterRegistry, base: BaseSpec) -> str:
    meta = {"base": base.name, "base_sha256": base.sha256, "algorithm": "kto"}
    return registry.add(shared_adapter(), meta).version


def test_nothing_is_left_out_where_the_base_or_its_own_adapter_was_chosen(registry: AdapterRegistry) -> None:
    tiny = resolve(str(shared_model()))
    assert left_out(registry, tiny) is None
    version = add(registry, tiny)
    assert left_out(registry, OTHER) is None, "trained, but not chosen"
    registry.activate(version, "test")
    assert left_out(registry, tiny) is None
    assert left_out(registry, OTHER) is not None
    registry.activate(add(registry, OTHER), "test")
    assert left_out(registry, tiny) is None, "each base has its own"
    registry.activate(None, "test", OTHER.sha256)
    assert left_out(registry, OTHER) is None, "the base was chosen last"


def test_a_folder_is_named_by_its_path_and_anything_else_by_its_name(registry: AdapterRegistry) -> None:
    tiny = resolve(str(shared_model()))
    registry.activate(add(registry, tiny), "test")
    assert (said := left_out(registry, OTHER)) is not None
    assert "The adapter v1 belongs to the model llama and is left out on owner/other;" in said
    assert f"`/model {tiny.path}`" in said
    hub = BaseSpec("owner/model", "", "3" * 64)
    registry.activate(add(registry, hub), "test")
    assert (said := left_out(registry, OTHER)) is not None
    assert "`/model owner/model`" in said
    shutil.rmtree(registry.get("v2").path)
    assert (said := left_out(registry, OTHER)) is not None
    assert "`/model owner/model`" in said, "also when its files are gone"


def test_a_base_that_changed_under_its_name_does_not_come_back(registry: AdapterRegistry) -> None:
    registry.activate(add(registry, BaseSpec("sprout", "", "4" * 64)), "test")
    said = left_out(registry, BaseSpec("sprout", "", "5" * 64))
    assert said is not None
    assert "`attune train`" in said
    assert "/model" not in said
