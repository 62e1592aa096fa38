"""Networks with the layers of VPoser v1 and v2 under their names, full of drawn numbers; no licensed file."""

import torch
from torch import nn

NEURONS, LATENT = 24, 8
"""Theirs are 512 and 32."""


def normalisation(width: int) -> nn.BatchNorm1d:
    made = nn.BatchNorm1d(width)
    nn.init.normal_(made.weight, 1, 0.2)
    nn.init.normal_(made.bias, 0, 0.2)
    made.running_mean, made.running_var = 0.3 * torch.randn(width), 0.5 + torch.rand(width)
    return made


class First(nn.Module):
    """VPoser v1's layers by their names; random numbers."""

    def __init__(self, each: int) -> None:
        super().__init__()
        self.bodyprior_enc_bn1, self.bodyprior_enc_fc1 = normalisation(21 * each), nn.Linear(21 * each, NEURONS)
        self.bodyprior_enc_bn2, self.bodyprior_enc_fc2 = normalisation(NEURONS), nn.Linear(NEURONS, NEURONS)
        self.bodyprior_enc_mu, self.bodyprior_enc_logvar = nn.Linear(NEURONS, LATENT), nn.Linear(NEURONS, LATENT)
        self.bodyprior_dec_fc1, self.bodyprior_dec_fc2 = nn.Linear(LATENT, NEURONS), nn.Linear(NEURONS, NEURONS)
        self.bodyprior_dec_out = nn.Linear(NEURONS, 126)

    def mean(self, pose: torch.Tensor) -> torch.Tensor:
        bend = nn.LeakyReLU(0.2)
        inner = self.bodyprior_enc_bn2(bend(self.bodyprior_enc_fc1(self.bodyprior_enc_bn1(pose))))
        return self.bodyprior_enc_mu(bend(self.bodyprior_enc_fc2(inner)))

    def six(self, latent: torch.Tensor) -> torch.Tensor:
        bend = nn.LeakyReLU(0.2)
        return self.bodyprior_dec_out(bend(self.bodyprior_dec_fc2(bend(self.bodyprior_dec_fc1(latent)))))


class Second(nn.Module):
    """VPoser v2's layers at their places; random numbers."""

    def __init__(self) -> None:
        super().__init__()
        last = nn.Module()
        last.mu, last.logvar = nn.Linear(NEURONS, LATENT), nn.Linear(NEURONS, LATENT)
        self.encoder_net = nn.Sequential(
            nn.Flatten(), normalisation(63), nn.Linear(63, NEURONS), nn.LeakyReLU(), normalisation(NEURONS),
            nn.Dropout(0.1), nn.Linear(NEURONS, NEURONS), nn.Linear(NEURONS, NEURONS), last,
        )  # fmt: skip
        self.decoder_net = nn.Sequential(
            nn.Linear(LATENT, NEURONS), nn.LeakyReLU(), nn.Dropout(0.1), nn.Linear(NEURONS, NEURONS), nn.LeakyReLU(),
            nn.Linear(NEURONS, 126),
        )  # fmt: skip

    def mean(self, pose: torch.Tensor) -> torch.Tensor:
        return self.encoder_net[-1].mu(self.encoder_net[:-1](pose))

    def six(self, latent: torch.Tensor) -> torch.Tensor:
        return self.decoder_net(latent)
