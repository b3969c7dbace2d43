"""The settings of a home: `config.toml` in it, `ATTUNE_*` in the environment, and the flags of a command.

Flags win over the environment, the environment over the file, the file over the defaults here.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent.paths import config_file
from memory.errors import AttuneError
from policies.policy import SamplingParams

TOOLS = ("clock", "calculator", "remember", "recall")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class ConfigError(AttuneError):
    """A setting that cannot be used."""


class Settings(BaseSettings):
    """What a person may turn. One line each; the defaults suit the embedded model."""

    model_config = SettingsConfigDict(env_prefix="ATTUNE_", extra="ignore", frozen=True)

    model: str | None = Field(default=None, description="hub id or folder of a chat model; empty is sprout")
    owner: str | None = Field(default=None, description="whose home opens without --owner (agent/paths.py)")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    top_p: float = Field(default=0.95, gt=0.0, le=1.0)
    max_new_tokens: int = Field(default=512, ge=1)
    card: bool = Field(default=True, description="show the preference card to the model")
    explore: bool = Field(
        default=True, description="while the card is empty and you rate, try styles to learn which you like"
    )
    memory: bool = Field(default=True, description="recall memories into the prompt")
    embedder: str | None = Field(
        default=None, description="sentence-transformers id or folder; empty is MiniLM"
    )
    recall_k: int = Field(default=5, ge=1, le=50)
    recall_tokens: int = Field(
        default=400, ge=0, description="tokens that recalled memories may take in a prompt"
    )
    updates: bool = Field(default=True, description="train by itself when idle")
    update_after: int = Field(default=8, ge=1, description="new signals that start an update")
    idle_seconds: float = Field(default=20.0, ge=0.0)
    # NoDecode: names between commas are read too, where the environment would have to hold JSON
    tools_allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        default=TOOLS, description="tools that run without asking"
    )
    blind: Literal["off", "rare", "often"] = Field(
        default="rare", description="how often two replies without labels are shown to choose between"
    )

    best_of: int = Field(
        default=1, ge=1, le=8, description="replies drawn for each one shown; the reward model picks it"
    )

    @field_validator("tools_allowed", mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith("["):
            return json.loads(given)
        return tuple(name.strip() for name in given.split(",") if name.strip())

    @field_validator("tools_allowed")
    @classmethod
    def _there_are_such_tools(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in TOOLS:
                raise ValueError(f"there is no tool {name[:40]!r}, the tools are {', '.join(TOOLS)}")
        return names

    def sampling(self, **changes: Any) -> SamplingParams:
        """The sampling of these settings; keyword arguments that are not None replace parts of it."""
        values = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_new_tokens": self.max_new_tokens,
            **{name: value for name, value in changes.items() if value is not None},
        }
        if not 0.0 <= values["temperature"] <= 2.0:
            raise ConfigError(f"A temperature lies between 0 and 2, not at {values['temperature']:g}.")
        return SamplingParams(**values)


def defaults(**changes: Any) -> Settings:
    """The defaults of this file with `changes`, whatever the environment says: for measuring."""
    # what is passed to Settings beats the environment, so every field is
    known = {name: field.get_default() for name, field in Settings.model_fields.items()}
    return Settings(**{**known, **changes})


def log_level() -> int:
    """What ATTUNE_LOG asks for; without it INFO. No setting of a home: what opens one is logged as well."""
    said = os.environ.get("ATTUNE_LOG", "").strip()
    if said and said.upper() not in logging.getLevelNamesMapping():
        raise ConfigError(
            f"The environment sets ATTUNE_LOG to {said[:40]!r}, which is none of {', '.join(LEVELS)}; "
            "correct it or remove it."
        )
    return logging.getLevelNamesMapping()[said.upper() or "INFO"]


def load_settings(home: Path, **flags: Any) -> Settings:
    """Settings of `home`; `flags` that are not None win. A broken file is one sentence (ConfigError)."""
    log_level()  # said before anything is opened, and by doctor
    path = config_file(home)
    written = _read(path)
    given = {name: value for name, value in flags.items() if value is not None}
    # The environment stands between file and flags, so the file is passed only where it is silent.
    try:
        from_environment = Settings().model_dump(exclude_unset=True)
    except (ValidationError, ValueError) as broken:
        raise ConfigError(f"The environment sets {_sentence(broken, 'ATTUNE_')}") from broken
    try:
        return Settings.model_validate({**written, **from_environment, **given})
    except ValidationError as broken:
        raise ConfigError(f"{path} sets {_sentence(broken)}") from broken


def _read(path: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise ConfigError(f"{path} is not valid TOML ({broken}); correct it or move it away.") from broken
    except NotADirectoryError as broken:
        file = next(one for one in path.parents if one.exists())
        raise ConfigError(
            f"{file} is a file, and a home is a folder; choose a folder with --home or ATTUNE_HOME."
        ) from broken
    except OSError as broken:
        raise ConfigError(f"{path} cannot be read ({broken.strerror}); check its permissions.") from broken
    for name in written:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it."
            raise ConfigError(f"{path} has an unknown setting {name!r}; {hint}")
    return written


def _sentence(broken: Exception, prefix: str = "") -> str:
    if isinstance(broken, ValidationError):
        first = broken.errors()[0]
        name = prefix + ".".join(str(part) for part in first["loc"])
        if prefix:
            name = name.upper()
        why = first["msg"].removeprefix("Value error, ")
        return f"{name} to {first['input']!r}: {why}; correct it or remove it."
    return f"a value that cannot be read ({broken}); correct it or remove it."
