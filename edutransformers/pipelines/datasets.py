"""Two small views on a dataset of dictionaries, for passing its texts to a pipeline."""


class KeyDataset:
    """One column: `pipe(KeyDataset(dataset, "text"))`."""

    def __init__(self, dataset, key: str):
        self.dataset = dataset
        self.key = key

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i):
        return self.dataset[i][self.key]


class KeyPairDataset:
    """Two columns, as the text pairs that text classification takes."""

    def __init__(self, dataset, key1: str, key2: str):
        self.dataset = dataset
        self.key1 = key1
        self.key2 = key2

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i) -> dict:
        item = self.dataset[i]
        return {"text": item[self.key1], "text_pair": item[self.key2]}
