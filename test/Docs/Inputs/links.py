"""Prints every relative link of the Markdown files below a folder that leads nowhere, and files below docs that no page leads to."""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1]).resolve()
pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("benchmark/*.md")]
reached = set()
for page in sorted(pages):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:|#", link):
            continue
        target = (page.parent / link.split("#")[0]).resolve()
        reached.add(target)
        if not target.exists():
            print(f"{page.relative_to(root)}: {link} leads nowhere")
for page in sorted(root.glob("docs/**/*.md")):
    if page not in reached and page.name != "README.md":
        print(f"{page.relative_to(root)}: no page leads to it")
