"""The registry on a real home: whole adapters or none, whatever happens in between."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy
import pytest

from memory.database import Database
from policies import weights_file
from policies.adapters.files import CONFIG, WEIGHTS, check_folder, max_abs_b
from policies.adapters.registry import AdapterError, AdapterRegistry, Overtaken
from tests.policies.tiny_models import make_adapter, meta, shared_model


def spoil(folder: Path, change: Any) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / WEIGHTS)
    for name in tensors:
        if "lora_B" in name:
            tensors[name] = change(tensors[name])
    save_file(tensors, folder / WEIGHTS)


def test_what_is_added_can_be_read_again(
    registry: AdapterRegistry, home: Path, db: Database, trained: Path
) -> None:
    added = registry.add(trained, meta(signals=12, status="provisional", report={"reasons": ["few"]}))
    assert (added.version, added.signals, added.status, added.active) == ("v1", 12, "provisional", False)
    assert added.report == {"reasons": ["few"]}
    assert added.sha256 == weights_file.digest(trained / WEIGHTS)
    shutil.rmtree(trained)
    registry.verify("v1")
    again = AdapterRegistry(db, home)
    assert again.list() == [added]
    assert again.get("v1") == added
    assert again.set_status("v1", "promoted", {"x": 1}).report == {"x": 1}
    assert again.get("v1").status == "promoted"


def test_nothing_is_active_until_it_is_chosen(registry: AdapterRegistry, trained: Path) -> None:
    assert registry.active() is None
    registry.add(trained, meta())
    assert registry.active() is None
    chosen = registry.activate("v1", "promoted")
    assert chosen is not None
    assert chosen.active
    assert registry.active() == chosen == registry.list()[0]
    assert registry.activate(None, "use base") is None
    assert registry.active() is None
    assert [entry["version"] for entry in registry.activations()] == ["v1", None]


def test_rolling_back_goes_one_step_each_time(registry: AdapterRegistry, trained: Path) -> None:
    for _ in range(3):
        registry.add(trained, meta())
    for version in ("v1", "v2", "v2", "v3"):
        registry.activate(version, "test")
    steps = []
    for _ in range(3):
        back = registry.rollback()
        steps.append(back and back.version)
    assert steps == ["v2", "v1", None]
    with pytest.raises(AdapterError, match="nothing to roll back"):
        registry.rollback()
    registry.activate("v3", "again")
    assert registry.rollback() is None


def test_what_is_to_go_goes_only_while_it_speaks(registry: AdapterRegistry, trained: Path) -> None:
    for version in ("v1", "v2", "v3"):
        registry.add(trained, meta())
        registry.activate(version, "test")
    base = meta()["base_sha256"]
    with pytest.raises(Overtaken, match="v2 does not speak any more; nothing was changed"):
        registry.rollback(base, expected="v2")
    with pytest.raises(Overtaken):
        registry.activate(None, "test", base, expected="v2")
    assert [entry["version"] for entry in registry.activations()] == ["v1", "v2", "v3"]
    back = registry.rollback(base, expected="v3")
    assert back is not None
    assert back.version == "v2"
    assert registry.activate(None, "test", base, expected="v2") is None
    assert registry.active() is None


def test_the_line_of_what_speaks_ends_at_the_base(registry: AdapterRegistry, trained: Path) -> None:
    for _ in range(4):
        registry.add(trained, meta())
    assert registry.line() == ()
    registry.activate("v1", "test")
    assert registry.line() == (None,)
    registry.activate("v2", "test")
    registry.activate("v3", "test")
    assert registry.line() == ("v2", "v1")
    registry.rollback()
    registry.activate("v4", "test")
    assert registry.line() == ("v2", "v1"), "what was rolled back is none of those that spoke well"
    registry.activate(None, "use base")
    assert registry.line() == ()
    registry.activate("v3", "test")
    assert registry.line() == (None,)


def test_rolling_back_from_the_base_returns_to_the_adapter(registry: AdapterRegistry, trained: Path) -> None:
    registry.add(trained, meta())
    registry.activate("v1", "test")
    registry.activate(None, "use base")
    back = registry.rollback()
    assert back is not None
    assert back.version == "v1"


def test_rolling_back_skips_what_is_no_longer_sound(registry: AdapterRegistry, trained: Path) -> None:
    for _ in range(3):
        added = registry.add(trained, meta())
        registry.activate(added.version, "test")
    shutil.rmtree(registry.get("v2").path)
    back = registry.rollback()
    assert back is not None
    assert back.version == "v1"
    assert registry.active() == back


def test_every_base_has_its_own_active_adapter(registry: AdapterRegistry, trained: Path) -> None:
    mine = meta()["base_sha256"]
    registry.add(trained, meta())
    registry.add(trained, meta(base="other", base_sha256="f" * 64))
    registry.activate("v1", "test")
    registry.activate("v2", "test")
    found = registry.active(mine)
    assert found is not None
    assert found.version == "v1"
    assert registry.rollback(mine) is None
    other = registry.active("f" * 64)
    assert other is not None
    assert other.version == "v2"
    with pytest.raises(AdapterError, match="another base"):
        registry.activate("v2", "test", mine)


@pytest.mark.parametrize("damage", ["gone", "changed", "cut", "no config"])
def test_a_damaged_active_adapter_never_speaks(registry: AdapterRegistry, trained: Path, damage: str) -> None:
    folder = Path(registry.add(trained, meta()).path)
    registry.activate("v1", "test")
    assert registry.active() is not None
    assert registry.notice is None
    if damage == "gone":
        shutil.rmtree(folder)
    elif damage == "changed":
        spoil(folder, lambda values: values * 2)
    elif damage == "cut":
        (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9])
    else:
        (folder / CONFIG).unlink()
    assert registry.active() is None
    assert registry.notice is not None
    assert "v1" in registry.notice
    assert "base model speaks" in registry.notice
    with pytest.raises(AdapterError):
        registry.verify("v1")
    with pytest.raises(AdapterError):
        registry.activate("v1", "test")


def test_an_active_adapter_that_cannot_be_read_or_is_deleted_at_that_moment(
    registry: AdapterRegistry, db: Database, home: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(trained, meta())
    registry.activate("v1", "test")

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    fresh = AdapterRegistry(db, home)
    with monkeypatch.context() as patched:
        patched.setattr(weights_file, "digest", refused)
        assert fresh.active() is None
        assert "v1 cannot be read (Permission denied)" in str(fresh.notice)
    registry.add(trained, meta())
    whole = registry.verify

    def deleted_meanwhile(version: str, base_sha256: str | None = None) -> None:
        whole(version, base_sha256)
        registry.delete(version)

    monkeypatch.setattr(registry, "verify", deleted_meanwhile)
    with pytest.raises(AdapterError, match="no adapter 'v2'"):
        registry.activate("v2", "test")
    active = registry.active()
    assert active is not None
    assert active.version == "v1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values * 0, "changes nothing"),
        (lambda values: numpy.full_like(values, numpy.inf), "not finite"),
        (lambda values: values * numpy.nan, "not finite"),
    ],
)
def test_degenerate_values_are_refused(
    registry: AdapterRegistry, trained: Path, change: Any, said: str
) -> None:
    spoil(trained, change)
    with pytest.raises(AdapterError, match=said):
        registry.add(trained, meta())
    assert registry.list() == []
    assert list((Path(trained).parent / "home" / "adapters").iterdir()) == []


def test_missing_and_foreign_files_are_named(
    registry: AdapterRegistry, trained: Path, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match=f"lacks {CONFIG} and {WEIGHTS}"):
        registry.add(tmp_path / "nothing", meta())
    with pytest.raises(AdapterError, match="no adapter 'v7'"):
        registry.get("v7")
    with pytest.raises(AdapterError, match="no adapter"):
        registry.activate("../../etc", "test")
    (trained / CONFIG).write_text('{"peft_type": "PREFIX_TUNING"}')
    with pytest.raises(AdapterError, match="not a LoRA"):
        registry.add(trained, meta())


def test_an_adapter_of_another_base_is_refused(registry: AdapterRegistry, trained: Path) -> None:
    added = registry.add(trained, meta())
    with pytest.raises(AdapterError, match="another base"):
        registry.verify("v1", "0" * 64)
    with pytest.raises(AdapterError, match="another base"):
        check_folder(Path(added.path), "0" * 64)


def test_bfloat16_adapters_are_read_exactly(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    folder = make_adapter(tmp_path / "bf16", shared_model())
    halved = {name: values.bfloat16() for name, values in load_file(folder / WEIGHTS).items()}
    save_file(halved, folder / WEIGHTS)
    read = weights_file.arrays(folder / WEIGHTS)
    assert all(torch.equal(torch.from_numpy(read[name]), halved[name].float()) for name in halved)
    assert check_folder(folder)
    assert max_abs_b(folder) == max(float(halved[n].abs().max()) for n in halved if "lora_B" in n)


def test_an_unwritable_home_gets_a_sentence(registry: AdapterRegistry, home: Path, trained: Path) -> None:
    shutil.rmtree(home / "adapters")
    (home / "adapters").write_text("in the way")
    with pytest.raises(AdapterError, match="could not be stored"):
        registry.add(trained, meta())
    with pytest.raises(AdapterError, match="no status"):
        registry.add(trained, meta(status="wonderful"))
