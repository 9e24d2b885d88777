"""Ray Serve deployment with one replica and onnxruntime, JSON. Ray listens on every address: run it where there is only loopback."""
import sys
import time

import numpy as np
import onnxruntime as ort
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=64, ray_actor_options={"num_cpus": 0.1})
class Model:
    def __init__(self, path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    async def __call__(self, request: Request):
        if request.method == "GET":
            return "ready"
        (entry,) = (await request.json())["inputs"]
        data = np.array(entry["data"], dtype=np.float32).reshape(entry["shape"])
        output = self.session.run(None, {self.name: data})[0]
        tensor = {"name": "output", "datatype": "FP32", "shape": list(output.shape), "data": output.ravel().tolist()}
        return {"outputs": [tensor]}


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[2])})
serve.run(Model.bind(sys.argv[1]))
while True:
    time.sleep(60)
