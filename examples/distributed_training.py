"""A training loop of one's own on one process or on many: is a sentence about a film kind or unkind?

    python examples/distributed_training.py
    mpiexec -n 2 python examples/distributed_training.py        # pip install 'edutransformers[distributed]'

The batch of 16 is that of all ranks together (split_batches), so the printed losses are the same for any number of
ranks that divides it, but for the last digits.
"""

import argparse

import numpy as np

from edutransformers import Accelerator, BertConfig, BertForSequenceClassification, BertTokenizer
from edutransformers.training import AdamW, DataCollatorWithPadding, DataLoader, decay_groups, get_scheduler, set_seed

KIND, UNKIND, THINGS = (
    ["good", "great", "fine", "warm"],
    ["bad", "dull", "poor", "cold"],
    ["film", "plot", "cast", "end"],
)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "was", "really", *KIND, *UNKIND, *THINGS]


def reviews(tokenizer, count, generator):
    """Sentences such as "the plot was really really dull", as ids, with their labels."""
    items = []
    for _ in range(count):
        label = int(generator.integers(2))
        word, thing = generator.choice(KIND if label else UNKIND), generator.choice(THINGS)
        items.append({**tokenizer(f"the {thing} was {'really ' * generator.integers(3)}{word}"), "label": label})
    return items


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--output", help="folder for the trained model")
    arguments = parser.parse_args()

    set_seed(0)
    accelerator = Accelerator(split_batches=True)
    tokenizer = BertTokenizer(vocab=WORDS)
    items = reviews(tokenizer, 400, np.random.default_rng(0))
    collator = DataCollatorWithPadding(tokenizer)
    train = DataLoader(items[:300], batch_size=16, shuffle=True, collate_fn=collator)
    test = DataLoader(items[300:], batch_size=16, collate_fn=collator)
    config = BertConfig(vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                        intermediate_size=64, max_position_embeddings=16, hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0)  # fmt: skip
    model = BertForSequenceClassification(config)
    optimizer = AdamW(decay_groups(model, weight_decay=0.01), lr=5e-3)
    steps = arguments.epochs * len(train)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=10, num_training_steps=steps)
    model, optimizer, train, test, scheduler = accelerator.prepare(model, optimizer, train, test, scheduler)

    for epoch in range(arguments.epochs):
        model.train()
        loss_sum = np.zeros(1)
        for batch in train:
            out, cache = model.forward(**batch)
            accelerator.backward(model, {"loss": 1.0}, cache)
            accelerator.clip_grad_norm_(model, max_norm=1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            loss_sum += float(out.loss) * train.counted  # the mean over this rank's items: weighed by their number

        model.eval()
        right = []
        for batch in test:
            logits, labels = accelerator.gather_for_metrics((model(**batch).logits, batch["labels"]))
            right.extend(logits.argmax(axis=-1) == labels)
        loss = accelerator.reduce(loss_sum)[0] / 300
        accelerator.print(f"epoch {epoch + 1}: loss {loss:.6f}, {sum(right)} of {len(right)} right")

    if arguments.output:
        accelerator.save_model(model, arguments.output)


if __name__ == "__main__":
    main()
