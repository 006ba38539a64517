"""A small byte-level vocabulary for the tests of the classes that have one."""

from edutransformers.tokenizers import ByteLevel, train_bpe

from ..texts import LONG, OTHER
from .suite import PANGRAM

VOCAB, MERGES = train_bpe(
    [LONG, OTHER, PANGRAM] * 2,
    340,
    pre_tokenizer=ByteLevel(add_prefix_space=False),
    initial_alphabet=ByteLevel.alphabet(),
    show_progress=False,
)
DECODED = {
    "Hello, the unaffable World!": "Hello, the unaffable World!",
    "Café naïve \u0301": "Café naïve \u0301",
    "  two  blanks\n\t": "  two  blanks\n\t",
    "👩‍👩‍👧 我爱": "👩‍👩‍👧 我爱",
}
