"""Chat templates against transformers 5: texts, ids, the assistant's tokens, and files both ways."""

import pytest

transformers = pytest.importorskip("transformers")

from edutransformers.tokenizers import BertTokenizer  # noqa: E402

from ..tokenizers.chat_examples import CONVERSATIONS, DOCUMENTS, TEMPLATES, THINKING, TOOLS  # noqa: E402
from ..tokenizers.conftest import TOKENS  # noqa: E402

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="needs transformers 5.x"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat")
    ours = BertTokenizer(vocab=TOKENS, bos_token="<s>", eos_token="</s>", chat_template={"default": "d", "rag": "r"})
    ours.save_pretrained(folder)
    return ours, transformers.AutoTokenizer.from_pretrained(folder)


def outcome(tokenizer, messages, **options):
    try:
        return tokenizer.apply_chat_template(messages, **options)
    except Exception as error:
        return str(error)


@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_text_and_ids(both, template, conversation):
    equal = 0
    for tools in (None, TOOLS):
        for prompt in (False, True):
            options = {
                "chat_template": TEMPLATES[template],
                "add_generation_prompt": prompt,
                "tools": tools,
                "documents": DOCUMENTS if prompt else None,
            }
            ours, theirs = (
                outcome(tokenizer, CONVERSATIONS[conversation], tokenize=False, **options) for tokenizer in both
            )
            if ours == theirs:
                equal += 1
            else:  # where Python complains, we say where in the template
                assert ours.startswith("the chat template failed in line")
                assert ours.endswith(theirs)
                continue
            ours, theirs = (
                outcome(tokenizer, CONVERSATIONS[conversation], return_dict=True, **options) for tokenizer in both
            )
            assert ours == theirs if isinstance(ours, str) else dict(ours) == dict(theirs)
    assert equal == 4 or conversation == "parts"


@pytest.mark.parametrize("conversation", ["turns", "thoughts", "system"])
def test_the_assistants_tokens(both, conversation):
    ours, theirs = (
        tokenizer.apply_chat_template(
            CONVERSATIONS[conversation],
            chat_template=THINKING.replace("{{- content }}", "{{- content|trim }}"),
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        for tokenizer in both
    )
    assert sum(ours["assistant_masks"]) > 0
    assert ours["assistant_masks"] == theirs["assistant_masks"]
    assert ours["input_ids"] == theirs["input_ids"]


@pytest.mark.parametrize("template", ["chatml", "llama 2", "llama 3", "zephyr", "mistral", "blenderbot", "thinking"])
@pytest.mark.parametrize("end", ["It is", "It is  \n"])
def test_going_on(both, template, end):
    messages = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": end}]
    options = {"chat_template": TEMPLATES[template], "tokenize": False, "continue_final_message": True}
    ours, theirs = (tokenizer.apply_chat_template(messages, **options) for tokenizer in both)
    assert ours == theirs
    assert ours.endswith((end, end.rstrip()))


def test_files_both_ways(both, tmp_path):
    ours, theirs = both
    assert theirs.chat_template == {"default": "d", "rag": "r"}
    theirs.save_pretrained(tmp_path / "theirs")
    assert BertTokenizer.from_pretrained(tmp_path / "theirs").chat_template == {"default": "d", "rag": "r"}
    theirs.save_pretrained(tmp_path / "in the config", save_jinja_files=False)
    assert BertTokenizer.from_pretrained(tmp_path / "in the config").chat_template == {"default": "d", "rag": "r"}
    single = BertTokenizer(vocab=TOKENS, chat_template="{{ 1 }}\n")
    single.save_pretrained(tmp_path / "single")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "single").chat_template == "{{ 1 }}\n"
