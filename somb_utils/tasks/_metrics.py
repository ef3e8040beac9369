"""The metrics that a task may have: which may be primary, and which are reported beside them."""

from somb_utils.tasks.recipes import Spec, TaskType

# Metrics that may be primary, since their chance level is known; and those reported beside them.
PRIMARY: dict[TaskType, tuple[str, ...]] = {
    "binary": ("auroc", "auprc"),
    "multiclass": ("macro_f1", "macro_auroc"),
    "multilabel": ("micro_f1", "micro_ap"),
}
SECONDARY: dict[TaskType, tuple[str, ...]] = {
    "binary": ("f1", "precision_at_50", "precision_at_100", "ndcg_at_50", "ndcg_at_100", "direction_concordance"),
    "multiclass": ("accuracy", "weighted_f1", "balanced_log_loss"),
    "multilabel": ("macro_f1", "hamming_loss", "mean_auroc"),
}
# Under the protocol ``rigorous`` these lead, and the metric that led stands beside them.
LEADS: dict[TaskType, tuple[str, ...]] = {
    "multiclass": ("macro_auroc", "macro_f1", "balanced_log_loss"),
    "multilabel": ("micro_ap", "micro_f1"),
}


class Metrics(Spec):
    """The metric that ranks models, and those reported beside it."""

    primary: str
    secondary: tuple[str, ...]

    def led_by(self, names: tuple[str, ...]) -> "Metrics":
        """Return these metrics behind others, the first of which is primary."""
        order = dict.fromkeys((*names, self.primary, *self.secondary))
        primary, *secondary = order
        return Metrics(primary=primary, secondary=tuple(secondary))
