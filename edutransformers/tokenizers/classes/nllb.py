"""NLLB's tokenizer: 202 languages, `eng_Latn A </s>`."""

import os

from edutransformers.tokenizers.added_tokens import AddedToken, special_token
from edutransformers.tokenizers.classes.languages import TranslationTokenizer
from edutransformers.tokenizers.engine import Engine

_CODES = """
ace_Arab ace_Latn acm_Arab acq_Arab aeb_Arab afr_Latn ajp_Arab aka_Latn amh_Ethi apc_Arab arb_Arab ars_Arab
ary_Arab arz_Arab asm_Beng ast_Latn awa_Deva ayr_Latn azb_Arab azj_Latn bak_Cyrl bam_Latn ban_Latn bel_Cyrl
bem_Latn ben_Beng bho_Deva bjn_Arab bjn_Latn bod_Tibt bos_Latn bug_Latn bul_Cyrl cat_Latn ceb_Latn ces_Latn
cjk_Latn ckb_Arab crh_Latn cym_Latn dan_Latn deu_Latn dik_Latn dyu_Latn dzo_Tibt ell_Grek eng_Latn epo_Latn
est_Latn eus_Latn ewe_Latn fao_Latn pes_Arab fij_Latn fin_Latn fon_Latn fra_Latn fur_Latn fuv_Latn gla_Latn
gle_Latn glg_Latn grn_Latn guj_Gujr hat_Latn hau_Latn heb_Hebr hin_Deva hne_Deva hrv_Latn hun_Latn hye_Armn
ibo_Latn ilo_Latn ind_Latn isl_Latn ita_Latn jav_Latn jpn_Jpan kab_Latn kac_Latn kam_Latn kan_Knda kas_Arab
kas_Deva kat_Geor knc_Arab knc_Latn kaz_Cyrl kbp_Latn kea_Latn khm_Khmr kik_Latn kin_Latn kir_Cyrl kmb_Latn
kon_Latn kor_Hang kmr_Latn lao_Laoo lvs_Latn lij_Latn lim_Latn lin_Latn lit_Latn lmo_Latn ltg_Latn ltz_Latn
lua_Latn lug_Latn luo_Latn lus_Latn mag_Deva mai_Deva mal_Mlym mar_Deva min_Latn mkd_Cyrl plt_Latn mlt_Latn
mni_Beng khk_Cyrl mos_Latn mri_Latn zsm_Latn mya_Mymr nld_Latn nno_Latn nob_Latn npi_Deva nso_Latn nus_Latn
nya_Latn oci_Latn gaz_Latn ory_Orya pag_Latn pan_Guru pap_Latn pol_Latn por_Latn prs_Arab pbt_Arab quy_Latn
ron_Latn run_Latn rus_Cyrl sag_Latn san_Deva sat_Beng scn_Latn shn_Mymr sin_Sinh slk_Latn slv_Latn smo_Latn
sna_Latn snd_Arab som_Latn sot_Latn spa_Latn als_Latn srd_Latn srp_Cyrl ssw_Latn sun_Latn swe_Latn swh_Latn
szl_Latn tam_Taml tat_Cyrl tel_Telu tgk_Cyrl tgl_Latn tha_Thai tir_Ethi taq_Latn taq_Tfng tpi_Latn tsn_Latn
tso_Latn tuk_Latn tum_Latn tur_Latn twi_Latn tzm_Tfng uig_Arab ukr_Cyrl umb_Latn urd_Arab uzn_Latn vec_Latn
vie_Latn war_Latn wol_Latn xho_Latn ydd_Hebr yor_Latn yue_Hant zho_Hans zho_Hant zul_Latn
"""
NLLB_LANGUAGES = tuple(_CODES.split())


class NllbTokenizer(TranslationTokenizer):
    """NLLB's: `eng_Latn A </s>`, for texts and for labels; of a pair `eng_Latn A B </s>`.

    vocab_file         a `.model`; or `vocab` {token: id} with `merges` (BPE), or a list of (piece, score) (Unigram)
    src_lang           the language of the texts, one of 202 codes; "eng_Latn" if it isn't said
    tgt_lang           the language of `text_target`
    legacy_behaviour   True: `A </s> eng_Latn`, as the first release had it

    The stages are those into which transformers 4.34 converts a `.model`.

    Raises ValueError for a language that the tokenizer has no token for.
    """

    languages = NLLB_LANGUAGES
    default_language = "eng_Latn"
    default_target_language = "fra_Latn"

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
        legacy_behaviour: bool = False,
        vocab: list[tuple[str, float]] | dict[str, int] | None = None,
        merges: list[tuple[str, str]] | None = None,
        engine: Engine | None = None,
        **kwargs,
    ):
        self.legacy_behaviour = legacy_behaviour
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
            legacy_behaviour=legacy_behaviour,
            **kwargs,
        )

    @property
    def language_first(self) -> bool:
        return not self.legacy_behaviour


class NllbTokenizerFast(NllbTokenizer):
    """The same under the original's other name."""
