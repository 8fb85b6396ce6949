"""Pages of the site that are not written in docs/: the README, the other pages of the repository, the API reference.

MkDocs calls `on_config`, `on_files` and `on_page_markdown` while it builds (mkdocs.yml names this file as its hook).
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Address of a page on the site -> its file in the repository.
OUTSIDE = {
    "index.md": "README.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "benchmarks/README.md": "benchmarks/README.md",
}
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def rooms() -> dict[str, list[str]]:
    """The modules of each room by its name, such as "pipelines.pose"; jobs are commands and have no reference."""
    modules: dict[str, list[str]] = {}
    modules["raylift"] = ["raylift"]
    for top in ("schemas", "pipelines"):
        for file in sorted((ROOT / top).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            if parts[-1] != "__init__":
                room = parts[:2] if len(parts) > 2 else parts[:1]
                modules.setdefault(".".join(room), []).append(".".join(parts))
    return modules


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the navigation."""
    assert config.nav is not None
    config.nav.append({"API reference": [{room: f"reference/{room}.md"} for room in rooms()]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages to those of docs/."""
    for address, source in OUTSIDE.items():
        files.append(File.generated(config, address, content=(ROOT / source).read_text(encoding="utf-8")))
    for room, modules in rooms().items():
        text = f"# {room}\n\n" + "\n".join(f"::: {module}\n" for module in modules)
        files.append(File.generated(config, f"reference/{room}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links lead to files of the repository; on the site they lead to their pages."""
    address = page.file.src_uri
    if address.startswith("reference/"):
        return markdown
    here = (ROOT / OUTSIDE.get(address, f"docs/{address}")).parent
    pages = {(ROOT / source).resolve(): target for target, source in OUTSIDE.items()}
    up = "../" * address.count("/")

    def to_page(link: re.Match[str]) -> str:
        file = (here / link[2]).resolve()
        target = pages.get(file)
        if target is None and file.is_relative_to(ROOT / "docs"):
            target = file.relative_to(ROOT / "docs").as_posix()
        return link[0] if target is None else f"{link[1]}{up}{target}{link[3]}"

    return LINK.sub(to_page, markdown)
