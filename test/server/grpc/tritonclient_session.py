"""Talks to a server through tritonclient's gRPC client, which shares no code with it. Prints what came back as JSON."""

import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])
seen = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("two"),
    "unknown_ready": client.is_model_ready("nobody"),
    "metadata": client.get_model_metadata("two", as_json=True),
    "config": client.get_model_config("two", as_json=True)["config"]["max_batch_size"],
    "index": client.get_model_repository_index(as_json=True),
}


def tensor(name, array, datatype):
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


left = np.arange(6, dtype=np.float32).reshape(2, 3)
right = np.ones((2, 3), dtype=np.float32)
inputs = [tensor("left", left, "FP32"), tensor("right", right, "FP32")]

answer = client.infer("two", inputs, request_id="7", priority=1, timeout=1_000_000, client_timeout=10)
seen["id"] = answer.get_response().id
seen["sum"] = answer.as_numpy("sum").tolist()
seen["larger"] = answer.as_numpy("larger").tolist()

zipped = client.infer("two", inputs, compression_algorithm="gzip")
seen["zipped"] = zipped.as_numpy("sum").tolist()

classes = [triton.InferRequestedOutput("sum", class_count=2)]
seen["classes"] = client.infer("two", inputs, outputs=classes).as_numpy("sum").astype(str).tolist()

words = np.array([["a".encode(), "é".encode()]], dtype=np.object_)
said = client.infer("words", [tensor("input", words, "BYTES")]).as_numpy("output")
seen["words"] = [word.decode() for word in said[0]]

large = np.arange(3_000_000, dtype=np.float32).reshape(1, -1)
seen["large"] = bool((client.infer("large", [tensor("input", large, "FP32")]).as_numpy("output") == large).all())

try:
    client.infer("nobody", inputs)
except InferenceServerException as error:
    seen["error"] = [error.status(), error.message()]

streamed = []
client.start_stream(callback=lambda result, error: streamed.append((result, error)))
for i in range(20):
    client.async_stream_infer("two" if i % 2 == 0 else "nobody", inputs, request_id=str(i))
client.stop_stream()
seen["streamed"] = [error.message() if result is None else result.get_response().id for result, error in streamed]

seen["statistics"] = client.get_inference_statistics("two", as_json=True)["model_stats"][0]["inference_count"]
print(json.dumps(seen))
