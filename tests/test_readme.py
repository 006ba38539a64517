"""What the README promises is so: two commands, and an example that runs."""

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_exactly_two_commands_each_one_line():
    (first, second) = re.findall(r"^```sh\n(pip install .*? && .*?)\n```$", README, re.MULTILINE)
    assert first == "pip install . && edutransformers tour"
    assert second == 'pip install ".[test]" && python -m pytest -q -n auto'
    assert README.index(first) < README.index(second) < README.index("```python")


def test_the_twenty_lines_run(capsys):
    (example,) = re.findall(r"```python\n(import numpy.*?)```", README, re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip()]
    assert len(lines) <= 20
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert "POSITIVE" in printed[0]
    losses = [float(re.search(r"\d\.\d+", line.split(" ", 1)[1]).group()) for line in printed[1:]]
    assert len(losses) == 3


def test_links_lead_somewhere():
    folder = Path(__file__).parent.parent
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (folder / link).exists(), link
