"""Requirements of pyproject.toml, and whether the installed packages meet them.

Supports the forms that this project uses: name, version bounds, platform marker.
"""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from xo_gui.bootstrap.installer import exit_with


class Project(NamedTuple):
    """Requirements of pyproject.toml by extra ("" for the base ones), and a digest of its content."""

    requirements: Mapping[str, Sequence[str]]
    digest: str

    def requirements_for(self, extras: Iterable[str]) -> list[str]:
        """The base requirements and those of the named extras."""
        return [line for extra in ("", *sorted(extras)) for line in self.requirements[extra]]


def read_project(file: Path) -> Project:
    """Read pyproject.toml. The digest omits settings of tools, which do not affect the installation."""
    import tomllib

    table = tomllib.loads(file.read_text("utf-8"))
    relevant = [table["build-system"], table["project"], table["tool"]["hatch"]]
    requirements = {"": table["project"]["dependencies"], **table["project"]["optional-dependencies"]}
    return Project(requirements, hashlib.sha256(json.dumps(relevant).encode()).hexdigest()[:16])


def requested_extras(project: Project, extras: Sequence[str]) -> frozenset[str]:
    """The extras of the caller and of XO_GUI_EXTRAS. Raises SystemExit for an unknown one."""
    wanted = frozenset(extras) | frozenset(re.findall(r"[\w.-]+", os.environ.get("XO_GUI_EXTRAS", "")))
    unknown = sorted(wanted - set(project.requirements))
    if unknown:
        known = ", ".join(sorted(filter(None, project.requirements)))
        exit_with(f"There is no extra named {', '.join(unknown)} (XO_GUI_EXTRAS); there are: {known}.")
    if len([extra for extra in wanted if extra.startswith("cuda")]) > 1:
        exit_with("XO_GUI_EXTRAS may name one CUDA version only: the CuPy packages overwrite each other.")
    return wanted


def installed_versions(paths: Sequence[str]) -> dict[str, str]:
    """Versions by normalised name, from the folder names alone: reading metadata takes ten times as long."""
    versions: dict[str, str] = {}
    for path in paths:
        try:
            entries = os.listdir(path or ".")
        except OSError:  # sys.path may name zip files and missing folders
            continue
        for entry in entries:
            if entry.endswith((".dist-info", ".egg-info")):
                name, _, version = entry[: -len(".dist-info")].partition("-")
                versions.setdefault(normalized_name(name), version.split("-")[0])
    return versions


def missing_requirements(requirements: Iterable[str], versions: Mapping[str, str]) -> list[str]:
    """The requirements that the installed versions do not meet. Raises ValueError for an unsupported form."""
    return [requirement for requirement in requirements if not is_met(requirement, versions)]


def is_met(requirement: str, versions: Mapping[str, str]) -> bool:
    """Whether the installed versions meet one requirement. Raises ValueError for an unsupported form."""
    text, _, marker = requirement.partition(";")
    match = re.match(r"^\s*([\w.-]+?)\s*(?:\[[^\]]*\])?\s*((?:[<>=!].*)?)$", text)
    platforms = re.findall(r"sys_platform == ['\"](\w+)['\"]", marker)
    if match is None or bool(marker) != bool(platforms):
        raise ValueError(f"cannot read the requirement {requirement!r}")
    if platforms and sys.platform not in platforms:
        return True
    version = versions.get(normalized_name(match.group(1)))
    bounds = [bound for bound in match.group(2).split(",") if bound.strip()]
    return version is not None and all(is_within(version, bound) for bound in bounds)


def is_within(version: str, bound: str) -> bool:
    """Whether a version such as 6.10.3 meets a bound such as >=6.8. Raises ValueError for an unsupported form."""
    match = re.match(r"^\s*(>=|<=|==|!=|<|>)\s*([0-9.]+)\s*$", bound)
    if match is None:
        raise ValueError(f"cannot read the version bound {bound!r}")
    compare = {
        ">=": operator.ge,
        "<=": operator.le,
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        ">": operator.gt,
    }[match.group(1)]
    return bool(compare(release(version), release(match.group(2))))


def release(version: str) -> list[int]:
    """The leading numbers of a version, without trailing zeros."""
    leading = re.match(r"[0-9.]*", version)
    numbers = [int(part) for part in (leading.group() if leading else "").split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def normalized_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
