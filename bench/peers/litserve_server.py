"""LitServe with one worker and onnxruntime, JSON."""
import sys

import litserve as ls
import numpy as np
import onnxruntime as ort


class Model(ls.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def decode_request(self, request):
        (entry,) = request["inputs"]
        return np.array(entry["data"], dtype=np.float32).reshape(entry["shape"])

    def predict(self, x):
        return self.session.run(None, {self.name: x})[0]

    def encode_response(self, output):
        tensor = {"name": "output", "datatype": "FP32", "shape": list(output.shape), "data": output.ravel().tolist()}
        return {"outputs": [tensor]}


if __name__ == "__main__":
    server = ls.LitServer(Model(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), log_level="error", generate_client_file=False)
