"""Asks the digits model over HTTP with binary tensors: python ask_http.py localhost:8080"""

import json
import sys

import numpy
from tritonclient.http import InferenceServerClient, InferInput

with open("models/digits/heldout.json", encoding="utf-8") as file:
    images = numpy.array(json.load(file)["images"][:5], dtype=numpy.float32).reshape(-1, 1, 8, 8)

client = InferenceServerClient(sys.argv[1])
image = InferInput("image", list(images.shape), "FP32")
image.set_data_from_numpy(images)
answer = client.infer("digits", [image])
print(answer.as_numpy("probabilities").argmax(axis=1))
