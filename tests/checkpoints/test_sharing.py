"""push_to_hub, against a stand-in hub on the loopback interface: what is pushed can be loaded by its name."""

import huggingface_hub
import numpy as np
import pytest

from edutransformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GenerationConfig,
    ViTImageProcessor,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)
from tests.checkpoints.models import bert


def test_a_pushed_model_is_loaded_by_its_name(hub):
    model = bert(BertForMaskedLM)
    address = model.push_to_hub("me/words", commit_message="After two epochs", dtype="float32", private=True)
    assert str(address).startswith(f"{hub.address}/me/words/commit/")
    assert set(hub.files["me/words"]) >= {"config.json", "model.safetensors"}
    wanted = hub.created[0]
    assert wanted.get("private") is True or wanted.get("visibility") == "private"  # huggingface_hub 0.x, 2.x
    assert hub.commits[0]["summary"] == "After two epochs"
    loaded = BertForMaskedLM.from_pretrained("me/words")
    for (name, parameter), (_, wanted) in zip(loaded.named_parameters(), model.named_parameters(), strict=True):
        np.testing.assert_array_equal(parameter.data, wanted.data, err_msg=name)


def test_parts_are_pushed_one_after_the_other(hub):
    """Into one repository, whose other files stay; a name without an owner is one of the account's own."""
    tokenizer = AutoTokenizer.from_pretrained("edutransformers/bert-small-imdb")
    hub.files["me/words"] = {"README.md": b"# Words"}
    for part in (bert(BertForMaskedLM), tokenizer, GenerationConfig(max_new_tokens=7), ViTImageProcessor()):
        part.push_to_hub("words")
    assert hub.created == []
    assert hub.files["me/words"]["README.md"] == b"# Words"
    assert [commit["summary"] for commit in hub.commits] == [
        "Upload BertForMaskedLM",
        "Upload BertTokenizerFast",
        "Upload GenerationConfig",
        "Upload ViTImageProcessor",
    ]
    text = "a film about nothing"
    assert AutoTokenizer.from_pretrained("me/words")(text) == tokenizer(text)
    assert GenerationConfig.from_pretrained("me/words").max_new_tokens == 7
    assert ViTImageProcessor.from_pretrained("me/words").to_dict() == ViTImageProcessor().to_dict()


def test_a_config_and_a_processor(hub):
    BertConfig(hidden_size=36).push_to_hub("me/small")
    assert BertConfig.from_pretrained("me/small").hidden_size == 36
    processor = Wav2Vec2Processor(
        Wav2Vec2FeatureExtractor(sampling_rate=8000),
        Wav2Vec2CTCTokenizer(vocab={"<pad>": 0, "<unk>": 1, "|": 2, "A": 3}),
    )
    processor.push_to_hub("me/reader")
    assert Wav2Vec2Processor.from_pretrained("me/reader").feature_extractor.sampling_rate == 8000


def test_where_a_commit_goes(hub, monkeypatch):
    BertConfig().push_to_hub("me/small", revision="trial", commit_description="Why not")
    assert [path for _, path, _ in hub.requests if "/commit/" in path] == ["/api/models/me/small/commit/trial"]
    assert hub.commits[0]["description"] == "Why not"
    asked = []
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", lambda self, **options: asked.append(options))
    BertConfig().push_to_hub("me/small", create_pr=True)
    BertConfig().push_to_hub("me/small")
    assert [options["create_pr"] for options in asked] == [True, False]


def test_the_token_is_sent(hub, monkeypatch):
    hub.writers = {"Bearer hf_mine", "Bearer hf_environment"}
    BertConfig().push_to_hub("me/small", token="hf_mine")
    assert {token for method, _, token in hub.requests if method == "POST"} == {"Bearer hf_mine"}
    with pytest.raises(PermissionError, match=r"let nothing be written to me/small \(401\): log in .* or pass token="):
        BertConfig().push_to_hub("me/small", token="hf_other")
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    BertConfig().push_to_hub("me/small")


def test_what_the_hub_says_otherwise_is_passed_on(hub):
    with pytest.raises(huggingface_hub.utils.HFValidationError):
        BertConfig().push_to_hub("not/a/name")
    assert hub.files == {}


@pytest.mark.parametrize("variable", ["TRANSFORMERS_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_nothing_is_asked(hub, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(OSError, match=f"{variable} forbids the network: unset it to push to me/small"):
        BertConfig().push_to_hub("me/small")
    assert hub.requests == []


def test_a_save_that_fails_creates_nothing(hub):
    with pytest.raises(TypeError, match="unknown argument 'compress'"):
        bert(BertForMaskedLM).push_to_hub("me/words", compress=True)
    assert hub.files == {}
