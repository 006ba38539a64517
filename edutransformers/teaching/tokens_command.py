"""`edutransformers tokenize`: the tokens of a text in colours, in the terminal, as a page or as a picture."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from .tokens import show_tokens

DEFAULT_MODEL = "edutransformers/bert-small-imdb"
DESCRIPTION = """\
Show how a model's tokenizer sees a text: each token in a colour, below it its id and where it stands in the text.
"·" is a blank, "↵" a line's end, "⇥" a tab, ⟨E4⟩ a byte, ⟨200D⟩ a character that can't be seen; special tokens are
grey, unknown ones red. The colours go when the output is no terminal, or when NO_COLOR is set."""


def tokenize(arguments: list[str]) -> int:
    """Run the command; returns the process's exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        text = _read_text(options, parser)
        picture = show_tokens(_tokenizers(options.model or [DEFAULT_MODEL]), text, options.pair, not options.no_special)
        for path in (options.html, options.picture):
            if path is not None:
                picture.save(path)
    except (OSError, ValueError, TypeError) as error:
        message = " ".join(str(error).split())
        print(f"edutransformers tokenize: {message}".encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
        return 1
    if options.html or options.picture:
        for path in (options.html, options.picture):
            if path is not None:
                print(f"wrote {path}")
        return 0
    _print(picture.as_text(shutil.get_terminal_size().columns, _colours(sys.stdout, os.environ), options.most))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edutransformers tokenize",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", nargs="?", help="the text; without it, and without --file, what comes in by a pipe")
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help=f"a folder, or a checkpoint's name (default: {DEFAULT_MODEL}); repeat it to compare",
    )
    parser.add_argument("--file", metavar="FILE", help="read the text from a file ('-': from a pipe)")
    parser.add_argument("--pair", metavar="TEXT", help="a second text, for models that read two")
    parser.add_argument("--no-special", action="store_true", help="without the special tokens around the text")
    parser.add_argument(
        "--most", type=_count, default=1000, metavar="N", help="tokens to print (default: 1000; 0: all)"
    )
    parser.add_argument("--html", metavar="FILE.html", type=_ending(".html", ".htm"), help="write a page instead")
    parser.add_argument("--picture", metavar="FILE.png", type=_ending(".png"), help="write a picture instead")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, 0 or more")
    return int(text)


def _ending(*endings: str):
    def check(path: str) -> str:
        if not path.lower().endswith(endings):
            raise argparse.ArgumentTypeError(f"{path!r} must end in {endings[0]}")
        return path

    return check


def _read_text(options: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    if options.text is not None and options.file is not None:
        parser.error("give a text or --file, not both")
    if options.text is not None:
        try:
            options.text.encode("utf-8")
        except UnicodeEncodeError as error:  # Python keeps bytes of the command line that are no UTF-8 as surrogates
            raise ValueError(f"the text is not UTF-8 at character {error.start}.") from None
        return options.text
    if options.file in (None, "-"):
        if options.file is None and sys.stdin.isatty():
            parser.error("there is no text: edutransformers tokenize 'A text.', or --file FILE")
        data, name = sys.stdin.buffer.read(), "the text from the pipe"
    else:
        if not Path(options.file).is_file():
            raise OSError(f"there is no file {options.file!r}.")
        data, name = Path(options.file).read_bytes(), options.file
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name} is not UTF-8 ({error}).") from None


def _tokenizers(names: list[str]) -> list:
    from .. import AutoTokenizer

    return [AutoTokenizer.from_pretrained(name) for name in names]


def _colours(stream, environment) -> int | None:
    """None for no colours, 24 for 24 bits, 256 for the older palette."""
    if not stream.isatty() or environment.get("NO_COLOR") or environment.get("TERM", "dumb") == "dumb":
        return None
    return 24 if environment.get("COLORTERM") in ("truecolor", "24bit") else 256


def _print(text: str) -> None:
    """Print, also where the terminal's encoding lacks some characters, and quietly stop where nobody reads on."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        # `edutransformers tokenize ... | head`: keep Python from complaining when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
