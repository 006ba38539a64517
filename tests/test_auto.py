"""The Auto classes: which class comes out, and what they say when none does."""

import json
import shutil

import numpy as np
import pytest

import edutransformers
from edutransformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizer,
    BertTokenizerFast,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizer,
    PreTrainedTokenizerFast,
    auto,
)
from edutransformers.auto.architectures import registered_classes, registered_configs
from edutransformers.auto.tokenizers import _tokenizer_named
from edutransformers.checkpoints import CheckpointNotFoundError
from edutransformers.tokenizers.model_types import TOKENIZER_OF

from .pipelines.tiny import WORDS, config, model, tokenizer

CLASSES = [
    (AutoModel, "BertModel"),
    (AutoModelForPreTraining, "BertForPreTraining"),
    (AutoModelForMaskedLM, "BertForMaskedLM"),
    (AutoModelForCausalLM, "BertLMHeadModel"),
    (AutoModelForNextSentencePrediction, "BertForNextSentencePrediction"),
    (AutoModelForSequenceClassification, "BertForSequenceClassification"),
    (AutoModelForTokenClassification, "BertForTokenClassification"),
    (AutoModelForMultipleChoice, "BertForMultipleChoice"),
    (AutoModelForQuestionAnswering, "BertForQuestionAnswering"),
]


@pytest.fixture
def folder(tmp_path):
    """A saved BertModel with its tokenizer."""
    model(BertModel).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def forget_registered():
    yield
    registered_configs.clear()
    registered_classes.clear()


def change_json(path, **fields):
    """Set fields of a JSON file; None removes one."""
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_the_table_holds_classes_that_exist():
    for model_type, row in auto.ARCHITECTURES.items():
        config_class = getattr(edutransformers, row.config)
        assert config_class.model_type == model_type
        base = getattr(edutransformers, row.models["AutoModel"])
        assert base.main_input_name in ("pixel_values", "input_values") or model_type in TOKENIZER_OF
        for auto_class, name in row.models.items():
            assert getattr(edutransformers, auto_class).__name__ == auto_class
            assert getattr(edutransformers, name).config_class is config_class


def test_every_auto_model_has_an_architecture():
    """BERT's are tested here, those of pictures and sounds with their models."""
    assert {kind.__name__ for kind, _ in CLASSES} == set(auto.ARCHITECTURES["bert"].models)
    in_the_table = {name for row in auto.ARCHITECTURES.values() for name in row.models}
    assert in_the_table == {name for name in dir(edutransformers) if name.startswith("AutoModel")}


# -- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("auto_class", "name"), CLASSES)
def test_the_class_for_a_checkpoint(auto_class, name, folder):
    loaded = auto_class.from_pretrained(folder)
    assert type(loaded).__name__ == name
    assert not loaded.training
    weights = model(BertModel).state_dict()
    np.testing.assert_array_equal(
        loaded.base_model.embeddings.word_embeddings.weight.data, weights["embeddings.word_embeddings.weight"]
    )


@pytest.mark.parametrize(("auto_class", "name"), CLASSES)
def test_the_class_for_a_config(auto_class, name):
    fresh = auto_class.from_config(config(), generator=np.random.default_rng(3))
    assert type(fresh).__name__ == name
    again = type(fresh)(config(), generator=np.random.default_rng(3))
    for (key, ours), (_, theirs) in zip(fresh.named_parameters(), again.named_parameters(), strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data, err_msg=key)


@pytest.mark.parametrize("dtype", [{"dtype": "float64"}, {"torch_dtype": np.float64}, {"dtype": "torch.float64"}])
def test_from_config_in_another_number_type(dtype):
    assert AutoModel.from_config(config(), **dtype).dtype == np.float64


def test_fields_of_the_config_and_arguments_of_the_model(folder):
    loaded, info = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=7,
        hidden_dropout_prob=0.25,
        output_attentions=True,
        dtype="float64",
        output_loading_info=True,
    )
    assert loaded.config.num_labels == 7
    assert loaded.config.hidden_dropout_prob == 0.25
    assert loaded.dtype == np.float64
    assert loaded(np.array([[2, 5, 3]])).logits.shape == (1, 7)
    assert sorted(info["missing_keys"]) == ["classifier.bias", "classifier.weight"]
    with pytest.raises(TypeError, match="no_such_thing"):
        AutoModel.from_pretrained(folder, no_such_thing=1)


def test_a_config_in_place_of_the_checkpoints(folder, tmp_path_factory):
    own = config(num_labels=5)
    assert AutoModelForSequenceClassification.from_pretrained(folder, config=own).config is own
    elsewhere = tmp_path_factory.mktemp("config")
    own.save_pretrained(elsewhere)
    assert AutoModelForSequenceClassification.from_pretrained(folder, config=elsewhere).config.num_labels == 5
    by_arrays = AutoModel.from_pretrained(None, config=own, state_dict=model(BertModel, seed=4).state_dict())
    expected = model(BertModel, seed=4)(np.array([[2, 5, 3]])).last_hidden_state
    np.testing.assert_array_equal(by_arrays(np.array([[2, 5, 3]])).last_hidden_state, expected)


def test_all_files_are_of_the_commit_that_config_json_came_from(folder, tmp_path_factory, monkeypatch):
    cache, commit = tmp_path_factory.mktemp("cache"), "0123456789" * 4
    repository = cache / "models--somebody--bert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(folder, repository / "snapshots" / commit)
    asked = {}
    load = BertModel.from_pretrained

    def spy(name, **kwargs):
        asked.update(kwargs)
        return load(name, **kwargs)

    monkeypatch.setattr(BertModel, "from_pretrained", spy)
    loaded = AutoModel.from_pretrained("somebody/bert", cache_dir=cache, local_files_only=True)
    assert asked["_commit_hash"] == commit
    assert loaded.config.hidden_size == 24


def test_a_checkpoint_without_model_type_is_known_by_its_name(folder, tmp_path):
    change_json(folder / "config.json", model_type=None)
    with pytest.raises(ValueError, match="says no model_type"):
        AutoModel.from_pretrained(folder)
    old = tmp_path / "my-bert-base"
    old.mkdir()
    for file in ("config.json", "model.safetensors"):
        (old / file).write_bytes((folder / file).read_bytes())
    assert type(AutoModel.from_pretrained(old)) is BertModel
    assert type(AutoConfig.from_pretrained(old)) is BertConfig


def test_an_unknown_model_type_lists_the_known_ones(folder):
    change_json(folder / "config.json", model_type="unheard-of")
    for auto_class in (AutoConfig, AutoModel, AutoModelForMaskedLM):
        with pytest.raises(ValueError, match="model type 'unheard-of' is not one of those that exist here: .*bert"):
            auto_class.from_pretrained(folder)


def test_an_architecture_without_a_class_for_the_task(folder, monkeypatch):
    row = auto.ARCHITECTURES["bert"]
    monkeypatch.setitem(auto.ARCHITECTURES, "bert", row._replace(models={"AutoModel": "BertModel"}))
    message = "has no class for AutoModelForMaskedLM, it has AutoModel; AutoModelForMaskedLM exists for no architecture"
    with pytest.raises(ValueError, match=f"'bert' {message}"):
        AutoModelForMaskedLM.from_pretrained(folder)


@pytest.mark.parametrize("where", ["no-such-model", "/no/such/folder"])
def test_no_checkpoint(where, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for auto_class in (AutoConfig, AutoModel, AutoTokenizer):
        with pytest.raises(CheckpointNotFoundError, match=where):
            auto_class.from_pretrained(where)


def test_a_folder_without_a_config(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match=r"has no config\.json"):
        AutoModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("auto_class", [AutoConfig, AutoTokenizer, *(kind for kind, _ in CLASSES)])
def test_auto_classes_are_not_built(auto_class):
    with pytest.raises(OSError, match=rf"{auto_class.__name__} can't be built directly; use .*from_pretrained\(name\)"):
        auto_class()


# -- configs ----------------------------------------------------------------------------------------------------------


def test_configs(folder):
    read = AutoConfig.from_pretrained(folder)
    assert type(read) is BertConfig
    assert read.hidden_size == 24
    assert AutoConfig.from_pretrained(folder / "config.json") == read
    changed, unused = AutoConfig.from_pretrained(folder, hidden_size=48, foo=1, return_unused_kwargs=True)
    assert changed.hidden_size == 48
    assert unused == {"foo": 1}


def test_a_config_by_model_type():
    assert AutoConfig.for_model("bert", hidden_size=12).hidden_size == 12
    with pytest.raises(ValueError, match="'brt' is not one of those that exist here: .*bert"):
        AutoConfig.for_model("brt")


# -- tokenizers -------------------------------------------------------------------------------------------------------


def test_every_model_type_has_a_tokenizer_that_exists():
    for model_type, name in TOKENIZER_OF.items():
        assert issubclass(getattr(edutransformers, name), PreTrainedTokenizer), model_type
        assert _tokenizer_named(name, use_fast=False).__name__ == name


def test_the_tokenizer_that_its_config_names(folder):
    loaded = AutoTokenizer.from_pretrained(folder)
    assert type(loaded) is BertTokenizerFast
    assert loaded("the film")["input_ids"] == tokenizer()("the film")["input_ids"]
    assert type(AutoTokenizer.from_pretrained(folder, use_fast=False)) is BertTokenizer


@pytest.mark.parametrize("name", ["BertTokenizer", "BertTokenizerFast", "PreTrainedTokenizer", None])
def test_every_way_to_name_it(folder, name):
    change_json(folder / "tokenizer_config.json", tokenizer_class=name)
    if name == "PreTrainedTokenizer":
        (folder / "tokenizer.json").unlink()
    assert type(AutoTokenizer.from_pretrained(folder)) is BertTokenizerFast


@pytest.mark.parametrize("name", ["PreTrainedTokenizerFast", "TokenizersBackend"])
def test_names_that_leave_it_to_tokenizer_json(folder, name):
    change_json(folder / "tokenizer_config.json", tokenizer_class=name)
    loaded = AutoTokenizer.from_pretrained(folder)
    assert type(loaded) is PreTrainedTokenizerFast
    assert loaded("the film")["input_ids"] == tokenizer()("the film")["input_ids"]
    loaded.save_pretrained(folder / "again")
    assert type(AutoTokenizer.from_pretrained(folder / "again")) is PreTrainedTokenizerFast
    (folder / "tokenizer.json").unlink()
    assert type(AutoTokenizer.from_pretrained(folder)) is BertTokenizerFast


def test_a_tokenizer_for_a_model_type_without_models(folder):
    (folder / "tokenizer_config.json").unlink()
    change_json(folder / "config.json", model_type="visual_bert", tokenizer_class=None)
    assert type(AutoTokenizer.from_pretrained(folder)) is BertTokenizerFast
    change_json(folder / "config.json", model_type="nothing")
    with pytest.raises(ValueError, match="there is no tokenizer for the model type 'nothing'"):
        AutoTokenizer.from_pretrained(folder)


def test_a_vocabulary_and_a_config_are_enough(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    with pytest.raises(CheckpointNotFoundError, match="neither a tokenizer_config.json .* nor a config.json"):
        AutoTokenizer.from_pretrained(tmp_path)
    assert type(AutoTokenizer.from_pretrained(tmp_path, config=config())) is BertTokenizerFast
    assert type(AutoTokenizer.from_pretrained(tmp_path, tokenizer_type="bert")) is BertTokenizerFast
    config().save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).get_vocab() == tokenizer().get_vocab()


def test_tokenizer_class_in_the_models_config(folder):
    (folder / "tokenizer_config.json").unlink()
    change_json(folder / "config.json", tokenizer_class="BertTokenizer", model_type="bert")
    assert type(AutoTokenizer.from_pretrained(folder)) is BertTokenizerFast


def test_settings_of_a_tokenizer(folder):
    loaded = AutoTokenizer.from_pretrained(folder, model_max_length=9, padding_side="left", revision="main")
    assert (loaded.model_max_length, loaded.padding_side) == (9, "left")


def test_unknown_tokenizers(folder):
    change_json(folder / "tokenizer_config.json", tokenizer_class="ReformerTokenizer")
    with pytest.raises(ValueError, match="'ReformerTokenizer' does not exist here; those that do: .*BertTokenizer"):
        AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ValueError, match="tokenizer_type is 'brt', expected one of .*bert"):
        AutoTokenizer.from_pretrained(folder, tokenizer_type="brt")
    (folder / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match="is not valid JSON"):
        AutoTokenizer.from_pretrained(folder)


# -- classes of one's own ---------------------------------------------------------------------------------------------


class OwnConfig(PretrainedConfig):
    model_type = "own"

    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.width = width


class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def build(self, config):
        from edutransformers.layers import Linear

        self.linear = Linear(config.width, config.width)

    def forward(self, x):
        return self.linear.forward(x)


class OwnTokenizer(BertTokenizer):
    pass


def test_registered_classes_load_like_ours(tmp_path):
    AutoConfig.register("own", OwnConfig)
    AutoModel.register(OwnConfig, OwnModel)
    AutoTokenizer.register(OwnConfig, OwnTokenizer)
    own = AutoModel.from_config(OwnConfig(width=4))
    assert type(own) is OwnModel
    own.save_pretrained(tmp_path)
    OwnTokenizer(vocab=WORDS).save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is OwnModel
    np.testing.assert_array_equal(loaded.linear.weight.data, own.linear.weight.data)
    assert AutoConfig.from_pretrained(tmp_path).width == 4
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is OwnTokenizer
    (tmp_path / "tokenizer_config.json").unlink()
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is OwnTokenizer
    assert "own" in auto.model_types()
    assert auto.model_types("AutoModel") == sorted([*auto.ARCHITECTURES, "own"])
    with pytest.raises(ValueError, match="AutoModelForMaskedLM does not know OwnConfig; expected .*: bert"):
        AutoModelForMaskedLM.from_config(OwnConfig())


def test_a_class_of_ones_own_for_an_architecture_of_ours(folder):
    class BetterBert(BertModel):
        pass

    with pytest.raises(ValueError, match="AutoModel already has BertModel for BertConfig; .* pass exist_ok=True"):
        AutoModel.register(BertConfig, BetterBert)
    AutoModel.register(BertConfig, BetterBert, exist_ok=True)
    assert type(AutoModel.from_pretrained(folder)) is BetterBert


def test_registering_what_does_not_fit():
    with pytest.raises(ValueError, match="OwnConfig.model_type is 'own', but it is registered as 'other'"):
        AutoConfig.register("other", OwnConfig)
    AutoConfig.register("own", OwnConfig)
    with pytest.raises(ValueError, match="'own' exists already"):
        AutoConfig.register("own", OwnConfig)
    AutoConfig.register("own", OwnConfig, exist_ok=True)
    with pytest.raises(ValueError, match="OwnModel.config_class is OwnConfig, but it is registered for BertConfig"):
        AutoModel.register(BertConfig, OwnModel)
    AutoModel.register(OwnConfig, OwnModel)
    with pytest.raises(ValueError, match="AutoModel already has OwnModel for OwnConfig"):
        AutoModel.register(OwnConfig, OwnModel)
    with pytest.raises(ValueError, match="BertConfig has a tokenizer already"):
        AutoTokenizer.register(BertConfig, OwnTokenizer)
    with pytest.raises(ValueError, match="slow_tokenizer_class or a fast_tokenizer_class"):
        AutoTokenizer.register(OwnConfig)
    with pytest.raises(ValueError, match="there is no tokenizer for OwnConfig"):
        AutoTokenizer.from_pretrained("/tmp", config=OwnConfig())


def test_a_config_derived_from_ours_is_not_ours():
    class Derived(BertConfig):
        pass

    with pytest.raises(ValueError, match="AutoModel does not know Derived"):
        AutoModel.from_config(Derived())
