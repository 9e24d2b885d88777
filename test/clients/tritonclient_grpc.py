"""Talks to a server through tritonclient's gRPC clients and grpcio, which share no code with it. Prints what came back as
JSON. Usage: tritonclient_grpc.py <host:port> <process id of the server>"""

import asyncio
import json
import os
import queue
import signal
import sys
import time

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

address, server_pid = sys.argv[1], int(sys.argv[2])
client = triton.InferenceServerClient(address)
seen = {}


def tensor(name, array, datatype):
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def error_of(call):
    try:
        return ["no error", str(call())]
    except InferenceServerException as error:
        return [error.status(), error.message()]


left = np.arange(6, dtype=np.float32).reshape(2, 3)
right = np.ones((2, 3), dtype=np.float32)
pair = [tensor("left", left, "FP32"), tensor("right", right, "FP32")]

seen["server"] = client.get_server_metadata(as_json=True)
seen["ready"] = [client.is_server_live(), client.is_server_ready(), client.is_model_ready("two", "1")]
seen["not_ready"] = [client.is_model_ready("two", "9"), client.is_model_ready("nobody")]
seen["odd_name"] = client.get_model_metadata("Odd.name-1_x").name
config = client.get_model_config("two").config
seen["config"] = [config.name, config.platform, [(i.name, i.data_type, list(i.dims)) for i in config.input]]

# Health as a load balancer or a kubelet asks for it, by grpcio alone: the messages are a string and a number.
channel = grpc.insecure_channel(address)
check = channel.unary_unary("/grpc.health.v1.Health/Check")
watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
seen["health"] = [
    check(b"", timeout=10).hex(),
    check(b"\x0a\x1e" + b"inference.GRPCInferenceService", timeout=10).hex(),
]
try:
    check(b"\x0a\x06nobody", timeout=10)
except grpc.RpcError as error:
    seen["health_unknown"] = error.code().name
watching = watch(b"", timeout=30)
seen["watched"] = [next(watching).hex()]

# Every datatype.
seen["datatypes"] = {}
for datatype, dtype in {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}.items():
    array = np.array([[1, 0, 1]], dtype=dtype)
    if datatype.startswith("FP"):
        array = np.array([[np.finfo(dtype).max, np.nan, -np.inf]], dtype=dtype)
    elif datatype != "BOOL":
        array = np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max, 1]], dtype=dtype)
    got = client.infer(f"identity_{datatype}", [tensor("input", array, datatype)]).as_numpy("output")
    seen["datatypes"][datatype] = got.dtype == array.dtype and got.tobytes() == array.tobytes()
words = np.array([["a".encode(), "é€😀".encode(), b""]], dtype=np.object_)
said = client.infer("words", [tensor("input", words, "BYTES")]).as_numpy("output")
seen["words"] = [word.decode() for word in said[0]]
empty = client.infer("large", [tensor("input", np.zeros((0, 5), dtype=np.float32), "FP32")])
seen["no rows"] = list(empty.as_numpy("output").shape)

seen["sums"] = {}
for algorithm in (None, "gzip", "deflate"):
    answer = client.infer("two", pair, compression_algorithm=algorithm)
    seen["sums"][str(algorithm)] = answer.as_numpy("sum").tolist()
only = client.infer("two", pair, outputs=[triton.InferRequestedOutput("larger")]).get_response()
seen["only"] = [output.name for output in only.outputs]
big = np.random.default_rng(1).random((1, 12_000_000), dtype=np.float32)
seen["48 MB"] = bool((client.infer("large", [tensor("input", big, "FP32")]).as_numpy("output") == big).all())
seen["parameters"] = (
    client.infer("two", pair, priority=1, timeout=5_000_000, parameters={"mine": "x", "n": 3}).as_numpy("sum").tolist()
)

done = queue.Queue()
for i in range(40):
    client.async_infer("two", pair, request_id=str(i), callback=lambda result, error: done.put((result, error)))
answers = [done.get(timeout=20) for _ in range(40)]
seen["async"] = sorted(int(result.get_response().id) for result, error in answers) == list(range(40))

client.start_stream(callback=lambda result, error: done.put((result, error)))
for i in range(100):
    client.async_stream_infer("two", pair, request_id=str(i))
streamed = [done.get(timeout=20)[0] for _ in range(100)]
client.stop_stream()
seen["streamed"] = [answer.get_response().id for answer in streamed] == [str(i) for i in range(100)]
seen["streamed_sums"] = all(answer.as_numpy("sum").tolist() == (left + right).tolist() for answer in streamed)

seen["statistics"] = client.get_inference_statistics("two").model_stats[0].inference_count > 140
seen["index"] = sorted(entry.name for entry in client.get_model_repository_index().models)[:2]

slow = [tensor("iterations", np.array([[2**40]], dtype=np.int64), "INT64")]
seen["errors"] = {
    "unknown model": error_of(lambda: client.infer("nobody", pair)),
    "unknown version": error_of(lambda: client.infer("two", pair, model_version="9")),
    "no such output": error_of(lambda: client.infer("two", pair, outputs=[triton.InferRequestedOutput("product")])),
    "missing input": error_of(lambda: client.infer("two", pair[:1])),
    "wrong datatype": error_of(lambda: client.infer("two", [tensor("left", left.astype(np.int32), "INT32"), pair[1]])),
    "wrong shape": error_of(lambda: client.infer("two", [tensor("left", left[:, :2].copy(), "FP32"), pair[1]])),
    "load": error_of(lambda: client.load_model("two")),
    "shared memory": error_of(lambda: client.get_system_shared_memory_status()),
}


async def ask_async():
    async with triton_aio.InferenceServerClient(address) as aio:
        answers = await asyncio.gather(*(aio.infer("two", pair, request_id=str(i)) for i in range(20)))
        return [
            await aio.is_server_ready(),
            [answer.get_response().id for answer in answers] == [str(i) for i in range(20)],
            all(answer.as_numpy("sum").tolist() == (left + right).tolist() for answer in answers),
        ]


seen["aio"] = asyncio.run(ask_async())

# A server that leaves: not ready at once, and still answering until the load balancer knows.
os.kill(server_pid, signal.SIGTERM)
seen["watched"].append(next(watching).hex())
bound = time.monotonic() + 10
while client.is_server_ready() and time.monotonic() < bound:
    time.sleep(0.01)
seen["draining"] = {
    "ready": client.is_server_ready(),
    "live": client.is_server_live(),
    "health": check(b"", timeout=10).hex(),
    "sum": client.infer("two", pair).as_numpy("sum").tolist(),
}
print(json.dumps(seen))
