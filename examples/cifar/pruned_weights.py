"""Takes the weights that pruning left out of an ONNX file, so that PyTorch can go on training them.

    python pruned_weights.py pruned.onnx pruned.pt
"""

import sys

import onnx
import torch
from onnx import numpy_helper
from student import build_pruned

source, target = sys.argv[1:]
stored = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in onnx.load(source).graph.initializer}
network = build_pruned()
network.load_state_dict({name: stored[name] for name in network.state_dict()})
torch.save(network.state_dict(), target)
