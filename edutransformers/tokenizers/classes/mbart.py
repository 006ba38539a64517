"""The tokenizers of mBART (25 languages, the code behind the text) and mBART-50 (52, the code before it)."""

import os

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.classes.languages import TranslationTokenizer
from edutransformers.tokenizers.engine import Engine

_CODES = """
ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX
ro_RO ru_RU si_LK tr_TR vi_VN zh_CN
"""
_MORE_CODES = """
af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN
te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI
"""
MBART_LANGUAGES = tuple(_CODES.split())
MBART50_LANGUAGES = MBART_LANGUAGES + tuple(_MORE_CODES.split())


class MBartTokenizer(TranslationTokenizer):
    """mBART's: `A </s> en_XX`, for texts and for labels; of a pair `A B </s> en_XX`.

    vocab_file   a `.model`; or `vocab`: a list of (piece, score) in the order of the ids
    src_lang     the language of the texts, one of 25 codes; "en_XX" if it isn't said
    tgt_lang     the language of `text_target`

    The stages are those into which transformers 4.34 converts a `.model`. (transformers 5.23 leaves the model's map of
    replacements out when it makes its own; so a tokenizer.json, which both follow, is what to hand on.)

    Raises ValueError for a language that the tokenizer has no token for.
    """

    languages = MBART_LANGUAGES
    default_language = "en_XX"
    default_target_language = "ro_RO"
    language_first = False

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        bos_token: str = "<s>",
        eos_token: str = "</s>",
        sep_token: str = "</s>",
        cls_token: str = "<s>",
        unk_token: str = "<unk>",
        pad_token: str = "<pad>",
        mask_token: str | AddedToken = "<mask>",
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        additional_special_tokens: list[str] | None = None,
        vocab: list[tuple[str, float]] | dict[str, int] | None = None,
        merges: list[tuple[str, str]] | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        super().__init__(
            vocab_file,
            src_lang,
            tgt_lang,
            vocab,
            merges,
            engine,
            additional_special_tokens,
            bos_token=bos_token,
            eos_token=eos_token,
            sep_token=sep_token,
            cls_token=cls_token,
            unk_token=unk_token,
            pad_token=pad_token,
            mask_token=special_token(mask_token, lstrip=True),
            **kwargs,
        )


class MBartTokenizerFast(MBartTokenizer):
    """The same under the original's other name."""


class MBart50Tokenizer(TranslationTokenizer):
    """mBART-50's: `en_XX A </s>`, for texts and for labels; of a pair `en_XX A B </s>`. It has no `bos_token`.

    Arguments as MBartTokenizer's, with 52 languages.
    """

    languages = MBART50_LANGUAGES
    default_language = "en_XX"
    default_target_language = "ro_RO"

    def __init__(
        self,
        vocab_file: str | os.PathLike | None = None,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        eos_token: str = "</s>",
        sep_token: str = "</s>",
        cls_token: str = "<s>",
        unk_token: str = "<unk>",
        pad_token: str = "<pad>",
        mask_token: str | AddedToken = "<mask>",
        additional_special_tokens: list[str] | None = None,
        vocab: list[tuple[str, float]] | dict[str, int] | None = None,
        merges: list[tuple[str, str]] | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        super().__init__(
            vocab_file,
            src_lang,
            tgt_lang,
            vocab,
            merges,
            engine,
            additional_special_tokens,
            eos_token=eos_token,
            sep_token=sep_token,
            cls_token=cls_token,
            unk_token=unk_token,
            pad_token=pad_token,
            mask_token=special_token(mask_token, lstrip=True),
            **kwargs,
        )


class MBart50TokenizerFast(MBart50Tokenizer):
    """The same under the original's other name."""
