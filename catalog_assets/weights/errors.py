"""What can go wrong with weights, as one exception with a plain sentence."""


class WeightsError(RuntimeError):
    """The weights are missing, damaged or unknown. The text says what happened and what to do."""
