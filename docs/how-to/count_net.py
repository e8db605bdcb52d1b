"""A small PyTorch network as an estimator: torch learns it, numpy answers.

After `fit` the object holds plain arrays only. So skops can store it, a server needs no torch, and
what it answers is the same wherever it runs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class CountNet:
    """One hidden layer, exp at the end, learned by the Poisson likelihood."""

    def __init__(
        self,
        hidden: int = 16,
        epochs: int = 30,
        step: float = 0.01,
        decay: float = 0.0001,
        random_state: int = 0,
    ) -> None:
        """Keep the hyperparameters; nothing is learned yet."""
        self.hidden, self.epochs, self.step = hidden, epochs, step
        self.decay, self.random_state = decay, random_state

    def fit(self, x: Floats, y: Floats, sample_weight: Floats) -> "CountNet":
        """Learn the rate `y` (n,) of rows `x` (n, features), each weighed by its exposure."""
        import torch  # noqa: PLC0415 - for training alone

        torch.manual_seed(self.random_state)
        exposure = sample_weight / sample_weight.mean()
        seen, rate, weight = map(torch.as_tensor, (x, y, exposure))
        net = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], self.hidden),
            torch.nn.Tanh(),
            torch.nn.Linear(self.hidden, 1),
        ).double()
        learn = torch.optim.Adam(net.parameters(), lr=self.step, weight_decay=self.decay)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(seen)).split(1024):
                learn.zero_grad()
                log_rate = net(seen[rows]).squeeze(1)
                loss = (weight[rows] * (log_rate.exp() - rate[rows] * log_rate)).mean()
                loss.backward()
                learn.step()
        self._keep(net)
        return self

    def _keep(self, net: Any) -> None:
        first, _, last = net
        self.inner = first.weight.detach().numpy().copy(), first.bias.detach().numpy().copy()
        self.outer = last.weight.detach().numpy()[0].copy(), float(last.bias.detach())

    def predict(self, x: Floats) -> Floats:
        """Return the expected rate of each row, shape (n,)."""
        (inner, start), (outer, base) = self.inner, self.outer
        rate: Floats = np.exp(np.clip(np.tanh(x @ inner.T + start) @ outer + base, -20.0, 20.0))
        return rate
