"""A PyTorch network wrapped as a scikit-learn estimator.

PyTorch is no dependency of the benchmark: it is imported when a network is fitted.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from somb_utils.errors import UsageError


class TorchNet(ClassifierMixin, BaseEstimator):
    """One hidden layer with dropout, trained with AdamW on class-weighted cross-entropy.

    Parameters
    ----------
    hidden, dropout : units of the hidden layer, and the share of them that is dropped.
    epochs, batch_size : passes over the training rows, and rows a step.
    learning_rate, weight_decay : of AdamW.
    random_state : seed of the starting weights, the batches and the dropout; a run sets it where it is None.
    """

    def __init__(
        self,
        hidden: int = 32,
        dropout: float = 0.3,
        epochs: int = 60,
        batch_size: int = 256,
        learning_rate: float = 0.01,
        weight_decay: float = 0.01,
        random_state: int | None = None,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TorchNet":
        """Train on rows `X` and their classes `y`."""
        torch = _torch()
        self.classes_, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        inputs, targets = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(codes)
        weight = torch.as_tensor(len(y) / (len(counts) * counts), dtype=torch.float32)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            if self.random_state is not None:
                torch.manual_seed(self.random_state)
            self.net_ = torch.nn.Sequential(
                torch.nn.Linear(X.shape[1], self.hidden),
                torch.nn.ReLU(),
                torch.nn.Dropout(self.dropout),
                torch.nn.Linear(self.hidden, len(self.classes_)),
            )
            loss = torch.nn.CrossEntropyLoss(weight)
            optimizer = torch.optim.AdamW(self.net_.parameters(), self.learning_rate, weight_decay=self.weight_decay)
            for _ in range(self.epochs):
                for rows in torch.randperm(len(inputs)).split(self.batch_size):
                    optimizer.zero_grad()
                    loss(self.net_(inputs[rows]), targets[rows]).backward()
                    optimizer.step()
        self.net_.eval()
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each class, shape (n_rows, n_classes)."""
        torch = _torch()
        with torch.no_grad():
            return self.net_(torch.as_tensor(X, dtype=torch.float32)).softmax(1).numpy()

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def make() -> TorchNet:
    """Return an unfitted network; without PyTorch, say so before any fold runs."""
    if find_spec("torch") is None:
        raise UsageError(
            "the example examples.torch_net needs PyTorch, which the benchmark does not install; get it with: "
            "pip install torch"
        )
    return TorchNet()


def _torch() -> Any:
    make()

    return import_module("torch")
