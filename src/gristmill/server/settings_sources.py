"""Where settings come from: the command line, the environment, a TOML file, the defaults."""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.domain.errors import InvalidInputError
from gristmill.server.setting_kinds import BETWEEN
from gristmill.server.settings import BY_NAME, SECTIONS, SETTINGS, Setting, Settings, build

CONFIG_NAME = "gristmill.toml"
_BY_FLAG = {setting.flag: setting for setting in SETTINGS}
_PREFIX = "GRISTMILL_"
_VARIABLES = {setting.variable.removeprefix(_PREFIX): setting for setting in SETTINGS}


class Loaded(NamedTuple):
    """The settings, and what a person should be told about how they were given."""

    settings: Settings
    warnings: list[str]


class _Given(NamedTuple):
    text: str
    source: str


def parse_flags(arguments: Sequence[str]) -> dict[str, str]:
    """Turn command-line words into texts by setting name; given twice, the last wins.

    Takes ``--flag VALUE``, ``--flag=VALUE``, and ``--switch`` or ``--no-switch``. The values of
    some add up instead. Raises InvalidInputError.
    """
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        flag, equals, text = word.partition("=")
        setting = _BY_FLAG.get(flag)
        positive = _BY_FLAG.get("--" + flag.removeprefix("--no-"))
        if setting is None and positive is not None and positive.kind.switch and not equals:
            given[positive.name] = "false"
        elif setting is None:
            raise InvalidInputError(f"there is no flag {flag}{_closest(flag, _BY_FLAG)}", flag)
        else:
            if not equals:
                text = "true" if setting.kind.switch else _next_word(words, setting)
            before = given.get(setting.name) if setting.kind.several else None
            given[setting.name] = text if before is None else f"{before}{BETWEEN}{text}"
    return given


def load(flags: Mapping[str, str], environment: Mapping[str, str]) -> Loaded:
    """Return the settings: a flag beats the environment, which beats the file, then defaults.

    flags: texts by setting name (``agent_cpus``), as parse_flags returns them. A variable that
    is set but empty counts as unset. Raises InvalidInputError naming the setting and where its
    value came from.
    """
    given = {
        **_from_environment(environment),
        **{name: _Given(text, BY_NAME[name].flag) for name, text in flags.items()},
    }
    given = {**_from_file(given), **given}
    values = {
        each.name: _parsed(each, given.get(each.name, _Given(each.default, "the default")))
        for each in SETTINGS
    }
    return Loaded(build(values), _unknown_variables(environment))


def _next_word(words: Any, setting: Setting) -> str:
    try:
        return str(next(words))
    except StopIteration:
        raise InvalidInputError(
            f"{setting.flag} needs a value: {setting.kind.expects}", setting.name
        ) from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, _Given]:
    return {
        each.name: _Given(environment[variable], variable)
        for each in SETTINGS
        for variable in (each.also, each.variable)
        if variable and environment.get(variable)
    }


def _parsed(setting: Setting, given: _Given) -> Any:
    try:
        return setting.kind.parse(given.text)
    except InvalidInputError as error:
        value = "its value" if setting.secret else repr(given.text[:200])
        raise InvalidInputError(
            f"{given.source}: {value} will not do: {error}; give {setting.kind.expects}",
            setting.name,
        ) from error


def _from_file(given: Mapping[str, _Given]) -> dict[str, _Given]:
    """Read the file that was named, or else the one in the home if it exists."""
    named = _early(given, "config")
    if named is not None:
        return _read_toml(named, frozenset({"config"}))
    path = _early(given, "home") / CONFIG_NAME
    # A home that may not be looked into is refused later, with better words.
    return _read_toml(path, frozenset({"config", "home"})) if os.path.isfile(path) else {}


def _early(given: Mapping[str, _Given], name: str) -> Any:
    setting = BY_NAME[name]
    return _parsed(setting, given.get(name, _Given(setting.default, "the default")))


def _read_toml(path: Path, barred: frozenset[str]) -> dict[str, _Given]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read the settings file {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"{path} is not valid TOML: {error}") from error
    found: dict[str, _Given] = {}
    for key, value in document.items():
        if key in SECTIONS and isinstance(value, dict):
            for inner, inner_value in value.items():
                found |= _from_toml(path, key, inner, inner_value, barred)
        else:
            found |= _from_toml(path, "", key, value, barred)
    return found


def _from_toml(
    path: Path, section: str, key: str, value: object, barred: frozenset[str]
) -> dict[str, _Given]:
    written = f"[{section}] {key}" if section else key
    known = {each.toml: each for each in SETTINGS}
    setting = known.get(written)
    if setting is None:
        raise InvalidInputError(f"{path}: there is no setting {written}{_closest(written, known)}")
    if setting.name in barred:
        raise InvalidInputError(
            f"{path}: {written} cannot be set in this file; use {setting.flag} "
            f"or {setting.variable}",
            setting.name,
        )
    return {setting.name: _Given(_toml_text(path, setting, value), f"{path}: {written}")}


def _toml_text(path: Path, setting: Setting, value: object) -> str:
    if isinstance(value, bool):
        fits = setting.kind.switch
    else:
        fits = isinstance(value, str) or (setting.kind.numeric and isinstance(value, int | float))
    if not fits:
        raise InvalidInputError(
            f"{path}: {setting.toml} has the wrong type; give {setting.kind.expects}", setting.name
        )
    return str(value)


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    sections = tuple(f"{section.upper()}_" for section in SECTIONS)
    warnings = []
    for variable in sorted(environment):
        name = variable.removeprefix(_PREFIX)
        if name == variable or name in _VARIABLES:
            continue
        close = _closest(name, _VARIABLES)
        if close or name.startswith(sections):
            warnings.append(f"the environment variable {variable} is no setting{close}; ignored")
    return warnings


def _closest(word: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.7)
    return f" (did you mean {near[0]}?)" if near else ""
