"""Tiny random-weight model folders: real configs, tokenizers with chat templates, safetensors.

They say nonsense, through exactly the code path of a real model. `make_model` writes a folder,
`make_adapter` a LoRA adapter for it in peft's format.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

CHATML = """\
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}Tools:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}{% for message in messages %}\
{% if message.role in ('user', 'assistant') %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}\
<tool_call>{{ call.function | tojson }}</tool_call>\
{% endfor %}<|im_end|>
{% elif message.role == 'tool' %}<|im_start|>tool
{{ message.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

# As Gemma 3's own: the system text goes into the first user turn, roles must alternate, no tools.
GEMMA = """{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}\
{%- set first = messages[0]['content'] + '\n\n' -%}\
{%- set turns = messages[1:] -%}{%- else -%}{%- set first = '' -%}{%- set turns = messages -%}{%- endif -%}\
{%- for message in turns -%}{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{%- endif -%}\
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else 'user') + '\n' }}\
{{ first if loop.first else '' }}{{ message['content'] | trim }}{{ '<end_of_turn>\n' }}{%- endfor -%}\
{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"""

TEXTS = [
    "You are Attune, a personal agent. Preferences of the owner: keep replies brief.",
    "What is the weather like today? It is raining and the wind is cold, so take a coat.",
    "My dog is called Fitzo and he likes long walks by the river in the morning.",
    "Tell me about trees, rivers, mountains, bread, music, numbers and the night sky.",
    "Größe, naïve café, 日本語, 😀🎉 and other characters need bytes.",
]
FAMILIES = ("llama", "qwen3", "gemma3")


def tokenizer(family: str) -> Any:
    """A byte-level BPE with the family's control tokens and a chat template of its kind."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if family == "gemma3":
        special, eos, bos, template = ["<pad>", "<eos>", "<bos>"], "<eos>", "<bos>", GEMMA
        turns = ["<start_of_turn>", "<end_of_turn>"]
    else:
        special, eos, bos, template = ["<|endoftext|>"], "<|im_end|>", None, CHATML
        turns = ["<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special + turns,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(TEXTS * 4, trainer)
    if family != "gemma3":
        # spoken by the template, not "special": as in Qwen's tokenizers
        bpe.add_tokens([AddedToken("<tool_call>", normalized=False, special=False)])
        bpe.add_tokens([AddedToken("</tool_call>", normalized=False, special=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=eos,
        bos_token=bos,
        pad_token=special[0],
        chat_template=template,
        additional_special_tokens=turns,
        model_max_length=10**30,
    )


def make_model(folder: Path, family: str = "llama", seed: int = 0, **config: Any) -> Path:
    """Write a model of `family` ("llama", "qwen3", "gemma3") into `folder`; `config` overrides its sizes."""
    import torch
    from transformers import (
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen3Config,
        Qwen3ForCausalLM,
    )

    chosen = tokenizer(family)
    sizes: dict[str, Any] = {
        "vocab_size": len(chosen),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 512,
        # wide enough that greedy choices are clear and replies differ
        "initializer_range": 0.4,
        "eos_token_id": chosen.eos_token_id,
        "bos_token_id": chosen.bos_token_id,
        "pad_token_id": chosen.pad_token_id,
        "tie_word_embeddings": False,
    }
    if family == "gemma3":
        sizes |= {"sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"]}
    sizes |= config
    kinds = {
        "llama": (LlamaConfig, LlamaForCausalLM),
        "qwen3": (Qwen3Config, Qwen3ForCausalLM),
        "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM),
    }
    make_config, make = kinds[family]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make(make_config(**sizes))
    model.save_pretrained(folder)
    chosen.save_pretrained(folder)
    return folder


@cache
def _shared() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tiny-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def shared_model(family: str = "llama") -> Path:
    """A model folder that all tests of this process share: read it, never change it."""
    return make_model(_shared() / family, family)


@cache
def shared_adapter(family: str = "llama", seed: int = 0) -> Path:
    """An adapter for `shared_model(family)`; as shared, as read-only."""
    return make_adapter(_shared() / f"{family}-adapter-{seed}", shared_model(family), seed)


def meta(**more: Any) -> dict[str, Any]:
    """What the registry asks of an adapter for `shared_model()`."""
    from policies.base_models import resolve

    spec = resolve(str(shared_model()))
    return {"base": spec.name, "base_sha256": spec.sha256, "algorithm": "kto"} | more


def make_adapter(folder: Path, model_folder: Path, seed: int = 0, scale: float = 0.5, **options: Any) -> Path:
    """Write a LoRA adapter with random A and B for the model in `model_folder`; `scale` 0 leaves B zero.

    `options` go to peft's LoraConfig.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    chosen = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # peft draws A
        model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **chosen))
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in model.named_parameters():
            if "lora_B" in name:
                values.copy_(torch.randn(values.shape, generator=noise) * scale)
    model.save_pretrained(folder)
    return folder
