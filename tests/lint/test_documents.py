"""What documents promise: links lead somewhere, the two commands exist, each decision has its page and its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from abilities import CHECKOUT
from lint.test_files import shown, tracked

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(
    r"\b((?:unit/)?(?:build|plan|cgroup|cli|net|ns|registry|reliability|runtime|security|storage)/test_\w+)(?:::(\w+))?"
)
DOCUMENTS = sorted(path for path in tracked() if path.suffix == ".md")


def heading_anchor(heading: str) -> str:
    """The anchor that a heading gets where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(document: Path) -> None:
    dead = []
    for link in LINK.findall(document.read_text()):
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or not path.is_relative_to(CHECKOUT):
            dead.append(link)
        elif anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            if anchor not in map(heading_anchor, headings):
                dead.append(link)
    assert not dead


@pytest.mark.parametrize(
    "name", ["README.md", "CHANGELOG.md", "LICENSE", "docs/architecture.md", "docs/decisions/README.md"]
)
def test_document_is_there(name: str) -> None:
    assert (CHECKOUT / name).stat().st_size > 200


def test_readme_names_the_two_commands() -> None:
    text = (CHECKOUT / "README.md").read_text()
    assert "./run" in text and "./test" in text


def test_changelog_knows_the_version() -> None:
    version = re.search(r'^version = "(.+)"', (CHECKOUT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version and re.search(
        rf"^## .*({re.escape(version[1])}|Unreleased)", (CHECKOUT / "CHANGELOG.md").read_text(), re.M
    )


def test_each_decision_is_listed_once() -> None:
    folder = CHECKOUT / "docs" / "decisions"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    numbers = [name[:4] for name in pages]
    assert len(numbers) == len(set(numbers)), "a number twice"
    listed = LINK.findall((folder / "README.md").read_text())
    assert [name for name in pages if name not in listed] == []


@pytest.mark.parametrize("name", ["rootless.md", "security.md"])
def test_tests_that_are_named_are_there(name: str) -> None:
    missing = []
    for file, test in TEST.findall((CHECKOUT / "docs" / name).read_text()):
        path = CHECKOUT / "tests" / f"{file}.py"
        if not path.exists() or (test and not re.search(rf"^ *(def|class) {test}\b", path.read_text(), re.MULTILINE)):
            missing.append(f"{file}::{test}")
    assert not missing
