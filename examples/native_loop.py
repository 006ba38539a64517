"""A training loop written out, on text that every Python has: which part of the standard library is a sentence about?

    python examples/native_loop.py                          # a minute or less; --limit 600 for a quick look
    python examples/native_loop.py --device cuda            # the same on a GPU

The same, step by step: docs/training/native_loop.md.
"""

import argparse

import numpy as np
from tqdm import tqdm

from edutransformers import AutoModelForSequenceClassification, BertConfig, BertTokenizer, inference_mode
from edutransformers.backend import to_numpy
from edutransformers.teaching.docstrings import docstring_sentences
from edutransformers.training import (
    AdamW,
    DataCollatorWithPadding,
    DataLoader,
    clip_grad_norm_,
    decay_groups,
    get_scheduler,
    set_seed,
)
from edutransformers.training.metrics import accuracy, confusion_matrix


def main(arguments=None) -> float:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="use only so many sentences")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--output", help="folder for the trained model")
    options = parser.parse_args(arguments)

    # -- data: sentences, a vocabulary learned from them, ids ---------------------------------------------------------
    set_seed(0)
    train, test, subjects = docstring_sentences()
    train, test = train[: options.limit], test[: options.limit]
    tokenizer = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], model_max_length=48)
    tokenizer = tokenizer.train_new_from_iterator((row["text"] for row in train), vocab_size=2000, show_progress=False)
    train, test = (
        [{**tokenizer(row["text"], truncation=True), "label": row["label"]} for row in part] for part in (train, test)
    )
    collator = DataCollatorWithPadding(tokenizer)
    train_loader = DataLoader(train, batch_size=32, shuffle=True, collate_fn=collator)
    test_loader = DataLoader(test, batch_size=64, collate_fn=collator)

    # -- model, optimizer, schedule -----------------------------------------------------------------------------------
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128,
        max_position_embeddings=48, id2label=dict(enumerate(subjects)),
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_config(config).to(options.device)
    optimizer = AdamW(decay_groups(model, weight_decay=0.01), lr=2e-3)
    steps = options.epochs * len(train_loader)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=steps // 10, num_training_steps=steps)

    # -- the loop -----------------------------------------------------------------------------------------------------
    progress = tqdm(total=steps)
    for epoch in range(options.epochs):
        model.train()
        losses = []
        for batch in train_loader:
            out, cache = model.forward(**batch)
            model.backward({"loss": 1.0}, cache)  # adds dLoss/dw to the gradient of every weight w
            clip_grad_norm_(model, max_norm=1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            losses.append(out.loss)
            del out, cache  # or they would stay in memory during the next forward
            progress.update(1)

        model.eval()
        labels, predictions = [], []
        with inference_mode():  # nothing is kept for a backward pass
            for batch in test_loader:
                labels.append(batch.pop("labels"))
                predictions.append(to_numpy(model(**batch).logits).argmax(axis=-1))
        labels, predictions = np.concatenate(labels), np.concatenate(predictions)
        right = accuracy(labels, predictions)
        loss = np.mean([float(loss) for loss in losses])
        progress.write(f"epoch {epoch + 1}: training loss {loss:.3f}, held-out sentences right {right:.1%}")
    progress.close()

    print("true subject, and what it was taken for:")
    for name, row in zip(subjects, confusion_matrix(labels, predictions, len(subjects))):
        print(f"  {name:12}", *(f"{count:4}" for count in row))
    if options.output:
        model.save_pretrained(options.output)
        tokenizer.save_pretrained(options.output)
    return right


if __name__ == "__main__":
    main()
