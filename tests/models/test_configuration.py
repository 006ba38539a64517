"""PretrainedConfig: what it reads, keeps, writes and refuses."""

import copy
import json
import logging
import pickle

import pytest

from edutransformers import BertConfig, BertForSequenceClassification, PretrainedConfig

# What transformers 4.34.1 and 5.x write for one and the same small classifier.
STYLE_4 = {
    "_name_or_path": "somewhere/bert",
    "architectures": ["BertForSequenceClassification"],
    "attention_probs_dropout_prob": 0.1,
    "classifier_dropout": None,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 32,
    "id2label": {"0": "negative", "1": "neutral", "2": "positive"},
    "initializer_range": 0.02,
    "intermediate_size": 48,
    "label2id": {"negative": 0, "neutral": 1, "positive": 2},
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 64,
    "model_type": "bert",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "problem_type": "single_label_classification",
    "torch_dtype": "float16",
    "transformers_version": "4.34.1",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 100,
}
STYLE_5 = {name: x for name, x in STYLE_4.items() if name not in ("torch_dtype", "position_embedding_type")} | {
    "add_cross_attention": False,
    "bos_token_id": None,
    "dtype": "float16",
    "eos_token_id": None,
    "is_decoder": False,
    "tie_word_embeddings": True,
    "transformers_version": "5.23.0",
}


def test_the_defaults_are_those_of_bert_base():
    config = BertConfig()
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (30522, 768, 12)
    assert (config.num_attention_heads, config.intermediate_size, config.max_position_embeddings) == (12, 3072, 512)
    assert (config.hidden_act, config.layer_norm_eps, config.type_vocab_size) == ("gelu", 1e-12, 2)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.1)
    assert (config.pad_token_id, config.num_labels, config.model_type) == (0, 2, "bert")
    assert config.tie_word_embeddings is True
    assert config.classifier_dropout is None
    assert config.torch_dtype is None


def test_configs_of_both_versions_read_alike():
    four, five = BertConfig.from_dict(STYLE_4), BertConfig.from_dict(STYLE_5)
    assert four == five
    assert four.torch_dtype == four.dtype == five.torch_dtype == five.dtype == "float16"
    assert four.id2label == {0: "negative", 1: "neutral", 2: "positive"}
    assert four.num_labels == 3
    assert four.name_or_path == "somewhere/bert"
    assert BertForSequenceClassification(four).config.problem_type == "single_label_classification"


@pytest.mark.parametrize("fields", [STYLE_4, STYLE_5])
def test_writing_and_reading_gives_the_same_config(fields):
    config = BertConfig.from_dict(fields)
    written = json.loads(config.to_json_string())
    kept = {name: x for name, x in fields.items() if name not in ("transformers_version", "dtype")}
    shared_defaults = {name: x for name, x in kept.items() if name not in written}
    assert shared_defaults.keys() <= {
        "add_cross_attention", "bos_token_id", "eos_token_id", "is_decoder", "tie_word_embeddings",
    }  # fmt: skip
    assert {name: written[name] for name in kept if name in written} == {
        name: x for name, x in kept.items() if name in written
    }
    assert BertConfig.from_dict(written) == config
    assert BertConfig.from_dict(json.loads(config.to_json_string(use_diff=False))) == config


def test_the_models_own_fields_are_always_written():
    written = BertConfig().to_diff_dict()
    assert written["hidden_size"] == 768
    assert written["model_type"] == "bert"
    assert "is_decoder" not in written
    assert "id2label" not in written
    assert BertConfig(is_decoder=True).to_diff_dict()["is_decoder"] is True


def test_unknown_fields_are_kept():
    config = BertConfig.from_dict({**STYLE_4, "a_field_of_the_future": {"x": [1, 2]}, "gradient_checkpointing": False})
    assert config.a_field_of_the_future == {"x": [1, 2]}
    assert BertConfig.from_dict(json.loads(config.to_json_string())).a_field_of_the_future == {"x": [1, 2]}


def test_number_types_of_both_names():
    assert BertConfig(torch_dtype="float16").dtype == "float16"
    assert BertConfig(dtype="float16").torch_dtype == "float16"
    assert BertConfig(torch_dtype=None, dtype="float16").torch_dtype == "float16"
    assert BertConfig(torch_dtype="torch.float16").to_dict()["torch_dtype"] == "float16"
    config = BertConfig()
    config.dtype = "float64"
    assert config.torch_dtype == "float64"


# -- labels -----------------------------------------------------------------------------------------------------------


def test_labels_without_names():
    config = BertConfig(num_labels=3)
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert BertConfig().id2label == {0: "LABEL_0", 1: "LABEL_1"}


def test_a_number_counts_more_than_names(caplog):
    with caplog.at_level(logging.WARNING, logger="edutransformers.models"):
        config = BertConfig(num_labels=3, id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1})
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    assert "num_labels is 3, but id2label names 2 labels: ignored" in caplog.text
    assert BertConfig(num_labels=2, id2label={"0": "no", "1": "yes"}).id2label == {0: "no", 1: "yes"}


def test_label2id_follows_where_it_is_missing():
    assert BertConfig(id2label={0: "no", 1: "yes"}).label2id == {"no": 0, "yes": 1}
    assert BertConfig(id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1, "ja": 1}).label2id["ja"] == 1
    assert BertConfig(num_labels=3, label2id={"x": 0}).label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


def test_setting_the_number_later():
    config = BertConfig(id2label={0: "no", 1: "yes"})
    config.num_labels = 2
    assert config.id2label == {0: "no", 1: "yes"}  # it fits: the names stay
    config.num_labels = 3
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}


def test_overrides_replace_the_labels_of_a_file():
    assert BertConfig.from_dict(STYLE_4, num_labels=4).id2label[3] == "LABEL_3"
    assert BertConfig.from_dict(STYLE_4, num_labels=3).id2label[2] == "positive"
    assert BertConfig.from_dict(STYLE_4, hidden_size=64).hidden_size == 64
    assert BertConfig.from_dict(STYLE_4, dtype="float32").torch_dtype == "float32"
    with pytest.raises(ValueError, match="^num_labels is 3, but id2label names 1 labels; pass only one of them$"):
        BertConfig.from_dict(STYLE_4, num_labels=3, id2label={0: "x"})


# -- errors -----------------------------------------------------------------------------------------------------------


def test_unknown_problem_type():
    with pytest.raises(
        ValueError,
        match="^problem_type is 'ranking': expected one of regression, single_label_classification, "
        "multi_label_classification$",
    ):
        BertConfig(problem_type="ranking")


@pytest.mark.parametrize("name", ["id2label", "label2id"])
def test_labels_must_be_a_dictionary(name):
    with pytest.raises(ValueError, match=rf"^{name} is \['no', 'yes'\]: expected a dictionary$"):
        BertConfig(**{name: ["no", "yes"]})


def test_unknown_field():
    with pytest.raises(AttributeError, match="^BertConfig has no field 'hiden_size'$"):
        _ = BertConfig().hiden_size


# -- objects ----------------------------------------------------------------------------------------------------------


class MappedConfig(PretrainedConfig):
    """A model whose fields have names of their own, as GPT-2's."""

    model_type = "mapped"
    attribute_map = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer"}

    def __init__(self, n_embd=6, n_layer=2, **kwargs):
        self.n_embd = n_embd
        self.n_layer = n_layer
        super().__init__(**kwargs)  # last: keyword arguments under the second names come through here


def test_attribute_map():
    config = MappedConfig(n_embd=10)
    assert (config.hidden_size, config.num_hidden_layers) == (10, 2)
    config.hidden_size = 12
    assert config.n_embd == 12
    assert "hidden_size" not in config.to_dict()
    assert MappedConfig(hidden_size=14).n_embd == 14
    assert MappedConfig.from_dict(config.to_diff_dict()) == config
    assert MappedConfig.from_dict({"n_embd": 8}, hidden_size=16).n_embd == 16


def test_equality_copies_and_text():
    config = BertConfig(num_labels=3)
    assert config == BertConfig(num_labels=3, name_or_path="elsewhere")
    assert config != BertConfig(num_labels=4)
    assert config != MappedConfig()
    twin = copy.deepcopy(config)
    twin.id2label[0] = "changed"
    assert config.id2label[0] == "LABEL_0"
    assert pickle.loads(pickle.dumps(config)) == config
    config.to_dict()["id2label"][0] = "changed"
    assert config.id2label[0] == "LABEL_0"
    assert '"hidden_size": 768' in repr(config)
