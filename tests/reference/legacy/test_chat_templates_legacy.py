"""Chat templates against transformers 4.34.1, whose templates were given messages and special tokens only."""

import pytest

transformers = pytest.importorskip("transformers")

from edutransformers.tokenizers import BertTokenizer  # noqa: E402

from ...tokenizers.chat_examples import CONVERSATIONS, TEMPLATES  # noqa: E402
from ...tokenizers.conftest import TOKENS  # noqa: E402

pytestmark = [
    pytest.mark.legacy,
    pytest.mark.skipif(transformers.__version__ != "4.34.1", reason="needs transformers 4.34.1"),
]


@pytest.mark.parametrize("template", ["chatml", "llama 2", "zephyr", "mistral", "blenderbot", "concatenated"])
def test_text_and_ids(template, tmp_path):
    ours = BertTokenizer(vocab=TOKENS, bos_token="<s>", eos_token="</s>")
    ours.save_pretrained(tmp_path)
    theirs = transformers.BertTokenizerFast.from_pretrained(tmp_path)
    equal = 0
    for name in ("one", "turns", "system", "two users", "special", "empty"):
        for prompt in (False, True):
            options = {"chat_template": TEMPLATES[template], "add_generation_prompt": prompt}
            outcomes = []
            for tokenizer in (ours, theirs):
                try:
                    outcomes.append(
                        (
                            tokenizer.apply_chat_template(CONVERSATIONS[name], tokenize=False, **options),
                            tokenizer.apply_chat_template(CONVERSATIONS[name], **options),
                        )
                    )
                except Exception as error:
                    outcomes.append(f"{type(error).__name__}: {error}")
            assert outcomes[0] == outcomes[1]
            equal += not isinstance(outcomes[0], str)
    assert equal >= 8
