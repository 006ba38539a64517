"""From a loss per example to one number: mean, sum or none. Losses of float16 predictions are float32 numbers."""

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise ValueError(f"unknown reduction {reduction!r}: expected one of {', '.join(REDUCTIONS)}")
    return reduction


def check_same_shape(predictions, targets) -> None:
    if predictions.shape != targets.shape:
        raise ValueError(
            f"predictions have shape {predictions.shape} and targets {targets.shape}: expected the same shape"
        )


def reduce(losses, reduction: str):
    """(…) losses -> their mean, their sum, or the losses themselves."""
    if reduction == "none":
        return losses
    return losses.mean() if reduction == "mean" else losses.sum()


def reduce_backward(dloss, size: int, reduction: str):
    """What every single loss's gradient is multiplied by: the mean divides by the number of losses."""
    return dloss / size if reduction == "mean" else dloss
