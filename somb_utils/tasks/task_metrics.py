"""The metrics of each type of task: which may lead, which stand beside, and which lead under ``rigorous``."""

from collections.abc import Iterator

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
# Of a user's task, as the benchmark has them under ``rigorous``; the first leads.
OWN: dict[TaskType, tuple[str, ...]] = {
    "binary": ("auroc", "auprc", "f1"),
    "multiclass": LEADS["multiclass"],
    "multilabel": (*LEADS["multilabel"], "mean_auroc"),
}


class Metrics(Spec):
    """The metric that ranks models, and those reported beside it."""

    primary: str
    secondary: tuple[str, ...]

    def faults(self, kind: TaskType) -> Iterator[str]:
        """Yield why a task of this type cannot have these metrics."""
        known = PRIMARY[kind] + SECONDARY[kind]
        if self.primary not in PRIMARY[kind]:
            yield f"the primary metric of a {kind} task is {' or '.join(PRIMARY[kind])}"
        if unknown := [name for name in self.secondary if name not in known]:
            yield f"unknown metric {unknown[0]!r}; a {kind} task has {', '.join(known)}"

    def led_by(self, names: tuple[str, ...]) -> "Metrics":
        """Return these metrics behind others, the first of which is primary."""
        order = dict.fromkeys((*names, self.primary, *self.secondary))
        primary, *secondary = order
        return Metrics(primary=primary, secondary=tuple(secondary))
