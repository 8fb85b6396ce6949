"""The pages name files, sections and links that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"])
SOURCES = sorted(f for top in ("schemas", "pipelines", "jobs", "raylift") for f in (ROOT / top).rglob("*.py"))


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_files_that_a_page_names_exist(page):
    named = re.findall(r"`((?:schemas|pipelines|jobs|tests|cluster|docs|benchmarks)/[\w./-]*)", page.read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_of_a_page_lead_to_files(page):
    text = re.sub(r"`[^`\n]*`", "", page.read_text("utf-8"))
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_citations_of_the_method_name_its_sections():
    sections = {s.lower() for s in re.findall(r"^## (.+)$", (ROOT / "docs" / "method.md").read_text("utf-8"), re.M)}
    cited = {
        (page_id(file), section)
        for file in SOURCES
        for section in re.findall(r"docs/method\.md, (?:section )?\"([^\"]+)\"", file.read_text("utf-8"))
    }
    assert {(file, section) for file, section in cited if section.lower() not in sections} == set()


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
