"""Finding and loading base models: what is wrong with a folder is said in one sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from policies import base_models
from policies.base_models import ModelError, check_memory, load, pick_device, resolve
from tests.policies.tiny_models import FAMILIES, shared_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_model("llama"), tmp_path / "model"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_local_folder_loads_in_fp32_on_the_cpu(family: str) -> None:
    import torch

    spec = resolve(str(shared_model(family)))
    assert spec.name == family
    model, tokenizer = load(spec, device="cpu")
    assert model.dtype == torch.float32
    assert not model.training
    assert tokenizer.chat_template
    assert load(spec, device="cpu", dtype="bfloat16")[0].dtype == torch.bfloat16


def test_the_embedded_model_is_the_default() -> None:
    if (base_models.SEED / "config.json").is_file():
        assert resolve(None) == resolve("sprout")
        assert resolve().name == "sprout"
    else:
        with pytest.raises(ModelError, match="make sprout"):
            resolve()


def test_the_fingerprint_follows_the_weights(folder: Path) -> None:
    before = resolve(str(folder))
    assert before.sha256 == resolve(str(shared_model("llama"))).sha256
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert resolve(str(folder)).sha256 != before.sha256


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_with_missing_files_names_them(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"lacks {name}"):
        resolve(str(folder))


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="lacks model-00002"):
        resolve(str(folder))


def test_broken_json_is_damaged(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json is damaged"):
        resolve(str(folder))


def test_cut_weights_are_damaged(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not copied to the end"):
        load(resolve(str(folder)), device="cpu")
    weights.write_bytes(b"<html>404</html>")
    with pytest.raises(ModelError, match="fetch it again"):
        load(resolve(str(folder)), device="cpu")


def test_weights_of_another_size_are_not_loaded(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ModelError, match=r"lack model\.layers\.2"):
        load(resolve(str(folder)), device="cpu")
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "no-such-thing"}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(resolve(str(folder)), device="cpu")


def test_a_tokenizer_without_a_chat_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load(resolve(str(folder)), device="cpu")


def test_a_model_that_does_not_fit_is_refused_with_numbers(folder: Path) -> None:
    spec = resolve(str(folder))
    need = check_memory(spec, "cpu", "float32", free=10**12)
    assert need > check_memory(spec, "cpu", "bfloat16", free=10**12)
    with pytest.raises(ModelError, match=r"needs about 0\.1 GB of memory and 0\.0 GB is free"):
        check_memory(spec, "cpu", "float32", free=1000)
    with pytest.raises(ModelError, match="choose a smaller model"):
        check_memory(spec, "cpu", "float32", free=need - 1)
    with pytest.raises(ModelError, match="on the GPU"):
        check_memory(spec, "cuda", "bfloat16", device_free=1000)
    assert check_memory(spec, "cpu", "float32", free=need) == need


def test_an_enormous_model_is_refused_before_it_is_read(folder: Path) -> None:
    side = 10**6
    entry = {"w": {"dtype": "F16", "shape": [side, side], "data_offsets": [0, 2 * side * side]}}
    head = json.dumps(entry).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        try:
            file.truncate(8 + len(head) + 2 * side * side)  # sparse: takes no room
        except OSError:
            pytest.skip("this file system has no sparse files of two terabytes")
    with pytest.raises(ModelError, match=r"needs about \d+\.\d GB of memory"):
        load(resolve(str(folder)), device="cpu")


@pytest.mark.parametrize("model", ["/no/such/folder", "./no-such-folder", "a/b/c", "~/no-such-folder"])
def test_a_path_that_is_not_there(model: str) -> None:
    with pytest.raises(ModelError, match="There is no folder"):
        resolve(model)


def test_an_unknown_device_or_dtype(folder: Path) -> None:
    with pytest.raises(ModelError, match="no device 'abacus'"):
        pick_device("abacus")
    assert pick_device("cpu") == "cpu"
    assert pick_device() in ("cuda", "mps", "cpu")
    with pytest.raises(ModelError, match="no dtype"):
        load(resolve(str(folder)), device="cpu", dtype="int3")


ASK = """
import sys
from policies.base_models import ModelError, resolve
try:
    resolve(sys.argv[1])
except ModelError as error:
    print(error)
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("model", "settings", "said"),
    [
        ("someone/no-such-model", {"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ("someone/no-such-model", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "check the network"),
        ("not a hub id!", {"HF_HUB_OFFLINE": "1"}, "neither a folder nor a hub id"),
    ],
)
def test_a_hub_that_cannot_be_reached(
    tmp_path: Path, model: str, settings: dict[str, str], said: str
) -> None:
    # the hub's client reads its settings once, at import: each case is a process of its own
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_HOME": str(tmp_path), "NO_PROXY": "*"} | settings
    done = subprocess.run(
        [sys.executable, "-c", ASK, model], capture_output=True, text=True, env=environment, timeout=120
    )
    sentence, torch_loaded = done.stdout.strip().splitlines()
    assert said in sentence
    assert torch_loaded == "False"


def test_a_look_at_the_disk_asks_no_hub_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    with pytest.raises(ModelError, match="not on this machine yet"):
        resolve("someone/no-such-model", download=False)


def test_a_model_of_which_only_the_tokenizer_was_fetched_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another program may have asked the hub for that alone; the hub's client cannot tell."""
    import shutil

    import huggingface_hub

    whole, part = Path(shared_model("llama")), tmp_path / "part"
    shutil.copytree(whole, part, ignore=shutil.ignore_patterns("*.safetensors"))
    asked: list[bool] = []

    def hub(model: str, local_files_only: bool = False, **_: Any) -> str:
        asked.append(local_files_only)
        if not local_files_only:
            shutil.copytree(whole, part, dirs_exist_ok=True)
        return str(part)

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    monkeypatch.setattr(base_models, "_check_download", lambda model: 1_000_000)
    assert resolve("someone/model").path == str(part)
    assert resolve("someone/model").path == str(part)
    assert asked == [True, False, True]


def test_a_download_is_told_and_not_drawn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hub is the one thing that tests have not got: a stand-in feeds the bars as its client does."""
    import shutil

    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def hub(model: str, tqdm_class: Any = None, local_files_only: bool = False, **_: Any) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("not here")
        files = tqdm_class(total=2, desc="Fetching 2 files")
        came = tqdm_class(unit="B", total=0, desc="bytes")
        for _ in range(2):
            came.update(500_000_000)
            files.update(1)
        came.set_description("Download complete")
        shutil.copytree(shared_model("llama"), tmp_path / "fetched")
        return str(tmp_path / "fetched")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    monkeypatch.setattr(base_models, "_check_download", lambda model: 1_000_000_000)
    told: list[tuple[float, str]] = []
    assert resolve("someone/model", lambda part, stage: told.append((part, stage))).name == "someone/model"
    assert [part for part, _ in told] == [0.0, 0.5, 1.0]
    assert told[1][1] == "downloading someone/model (0.5 GB of 1.0 GB)"
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
