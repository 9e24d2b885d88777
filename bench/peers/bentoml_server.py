"""BentoML service with one worker and onnxruntime, JSON. MODEL_FILE names the model."""
import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=1)
class Model:
    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL_FILE"], options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    @bentoml.api(route="/infer")
    def infer(self, inputs: list) -> dict:
        (entry,) = inputs
        data = np.array(entry["data"], dtype=np.float32).reshape(entry["shape"])
        output = self.session.run(None, {self.name: data})[0]
        tensor = {"name": "output", "datatype": "FP32", "shape": list(output.shape), "data": output.ravel().tolist()}
        return {"outputs": [tensor]}
