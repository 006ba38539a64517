"""A small real data set that every Python brings along: sentences of the standard library's docstrings, by subject.

No download and no licence question: it is read from the interpreter's own source files. The task: which part of the
library is a sentence about?
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import Counter
from pathlib import Path

import numpy as np

SUBJECTS = {
    "networking": (
        "email",
        "http",
        "urllib",
        "smtplib",
        "ftplib",
        "imaplib",
        "socket",
        "ssl",
        "socketserver",
        "xmlrpc",
    ),
    "mathematics": ("statistics", "fractions", "_pydecimal", "random", "numbers", "heapq", "bisect", "colorsys"),
    "files": ("os", "shutil", "pathlib", "tempfile", "zipfile", "tarfile", "glob", "posixpath", "mailbox", "filecmp"),
    "concurrency": ("asyncio", "threading", "multiprocessing", "concurrent", "queue", "sched", "selectors"),
}


def docstring_sentences(held_out: float = 0.2, seed: int = 0):
    """-> (training examples, held-out examples, names of the subjects); an example is {"text": str, "label": int}.

    Every subject has equally many sentences, and no sentence is in both parts.
    """
    names = list(SUBJECTS)
    by_subject = [sorted(_sentences_of(modules)) for modules in SUBJECTS.values()]
    times = Counter(text for texts in by_subject for text in texts)  # a sentence of two subjects is about neither
    by_subject = [[text for text in texts if times[text] == 1] for texts in by_subject]
    count = min(map(len, by_subject))
    generator = np.random.default_rng(seed)
    examples = []
    for label, texts in enumerate(by_subject):
        chosen = generator.permutation(len(texts))[:count]
        examples += [{"text": texts[place], "label": label} for place in chosen]
    examples = [examples[place] for place in generator.permutation(len(examples))]
    border = round(len(examples) * (1 - held_out))
    return examples[:border], examples[border:], names


def _sentences_of(modules) -> set[str]:
    sentences = set()
    for module in modules:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin in (None, "built-in", "frozen"):
            continue
        source = Path(spec.origin)
        for file in sorted(source.parent.rglob("*.py")) if source.name == "__init__.py" else [source]:
            if "test" not in file.parts and "tests" not in file.parts:
                sentences |= _sentences_of_file(file)
    return sentences


def _sentences_of_file(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8", errors="replace"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
    sentences = set()
    for docstring in filter(None, docstrings):
        prose = "\n".join(line for line in docstring.splitlines() if not line.lstrip().startswith((">>>", "...")))
        for paragraph in re.split(r"\n\s*\n", prose):
            for sentence in re.split(r"(?<=[.:;!?])\s+", " ".join(paragraph.split())):
                if 6 <= len(sentence.split()) <= 40:
                    sentences.add(sentence)
    return sentences
