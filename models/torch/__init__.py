# SPDX-License-Identifier: BSD-2-Clause
"""Training by the recipes of models/recipes in PyTorch; doc/torch.md."""
