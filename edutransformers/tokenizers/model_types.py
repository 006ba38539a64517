"""Which tokenizer the checkpoints of a model type come with, where their files don't say it."""

_MODEL_TYPES = {
    "AlbertTokenizer": "albert nystromformer yoso",
    "BartTokenizer": "bart",
    "BertTokenizer": ("align bark bert blip bros chinese_clip ernie git megatron-bert nezha qdqbert vilt visual_bert"),
    "CLIPTokenizer": "clip clipseg groupvit oneformer owlvit xclip",
    "CTRLTokenizer": "ctrl",
    "CodeLlamaTokenizer": "code_llama",
    "DebertaTokenizer": "deberta",
    "DebertaV2Tokenizer": "deberta-v2",
    "DistilBertTokenizer": "distilbert",
    "ElectraTokenizer": "electra",
    "GPT2Tokenizer": "blip-2 gpt2 gpt_bigcode gpt_neo gptj instructblip opt",
    "LlamaTokenizer": "idefics llama mistral persimmon",
    "MBart50Tokenizer": "mbart50",
    "MBartTokenizer": "mbart",
    "MarianTokenizer": "marian",
    "NllbTokenizer": "nllb nllb-moe",
    "OpenAIGPTTokenizer": "openai-gpt",
    "RobertaTokenizer": "bridgetower clap data2vec-text ibert mega mra roberta roberta-prelayernorm",
    "T5Tokenizer": "longt5 musicgen pix2struct switch_transformers t5 umt5",
    "TransfoXLTokenizer": "transfo-xl",
    "Wav2Vec2CTCTokenizer": "data2vec-audio hubert wav2vec2 wav2vec2-conformer",
    "WhisperTokenizer": "whisper",
    "XLMRobertaTokenizer": "xlm-roberta xlm-roberta-xl xmod",
    "XLMTokenizer": "xlm",
    "XLNetTokenizer": "xlnet",
}

TOKENIZER_OF: dict[str, str] = {
    model_type: name for name, model_types in _MODEL_TYPES.items() for model_type in model_types.split()
}
