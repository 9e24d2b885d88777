"""Talks to a server through tritonclient's HTTP clients, which share no code with it. Prints what came back as JSON.
Usage: tritonclient_http.py <host:port> <process id of the server>"""

import asyncio
import json
import os
import signal
import sys
import time

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

address, server_pid = sys.argv[1], int(sys.argv[2])
client = triton.InferenceServerClient(address, concurrency=4, connection_timeout=20, network_timeout=20)
seen = {}


def tensor(name, array, datatype, binary=True, module=triton):
    made = module.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def error_of(call):
    try:
        return ["no error", str(call())]
    except InferenceServerException as error:
        return [error.status(), error.message()]


left = np.arange(6, dtype=np.float32).reshape(2, 3)
right = np.ones((2, 3), dtype=np.float32)


def pair(binary=True, module=triton):
    return [tensor("left", left, "FP32", binary, module), tensor("right", right, "FP32", binary, module)]


# Who is there.
seen["live"] = client.is_server_live()
seen["ready"] = client.is_server_ready()
seen["model_ready"] = [client.is_model_ready("two"), client.is_model_ready("two", "1")]
seen["unknown_ready"] = [client.is_model_ready("nobody"), client.is_model_ready("two", "9")]
seen["server"] = client.get_server_metadata()
seen["metadata"] = client.get_model_metadata("two")
seen["metadata_of_version"] = client.get_model_metadata("two", "1") == seen["metadata"]
seen["config"] = client.get_model_config("two")
seen["index"] = sorted(client.get_model_repository_index(), key=lambda entry: entry["name"])
seen["odd_name"] = client.get_model_metadata("Odd.name-1_x")["name"]

# The same sum in every form.
sums = {}
for form, (sent_binary, asked_binary) in {
    "binary": (True, True),
    "json": (False, False),
    "json in, binary out": (False, True),
    "binary in, json out": (True, False),
}.items():
    outputs = [triton.InferRequestedOutput("sum", binary_data=asked_binary)]
    answer = client.infer("two", pair(sent_binary), outputs=outputs, request_id="7")
    head = answer.get_response()
    is_binary = "data" not in head["outputs"][0]
    sums[form] = [answer.as_numpy("sum").tolist(), is_binary, head["id"], [o["name"] for o in head["outputs"]]]
for sent in (None, "gzip", "deflate"):
    for asked in (None, "gzip", "deflate"):
        for binary in (True, False):
            answer = client.infer(
                "two",
                pair(binary),
                model_version="1",
                request_compression_algorithm=sent,
                response_compression_algorithm=asked,
            )
            sums[f"{sent} {asked} {binary}"] = answer.as_numpy("sum").tolist()
seen["sums"] = sums
mixed = [tensor("left", left, "FP32", True), tensor("right", right, "FP32", False)]
seen["mixed"] = client.infer("two", mixed).as_numpy("sum").tolist()
seen["all_outputs"] = [output["name"] for output in client.infer("two", pair()).get_response()["outputs"]]
seen["larger"] = client.infer("two", pair()).as_numpy("larger").tolist()
seen["parameters"] = (
    client.infer("two", pair(), priority=1, timeout=5_000_000, parameters={"mine": "x", "n": 3})
    .as_numpy("sum")
    .tolist()
)

# What compression brings for a long answer in JSON, and that it is the same.
long = np.arange(30_000, dtype=np.float32).reshape(1, -1)
for algorithm in ("gzip", "deflate"):
    answer = client.infer(
        "large",
        [tensor("input", long, "FP32", False)],
        outputs=[triton.InferRequestedOutput("output", binary_data=False)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    seen[f"long {algorithm}"] = bool((answer.as_numpy("output") == long).all())
big = np.random.default_rng(1).random((1, 3_000_000), dtype=np.float32)
seen["12 MB"] = bool((client.infer("large", [tensor("input", big, "FP32")]).as_numpy("output") == big).all())

# Every datatype through both forms.
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
    if datatype == "BOOL":
        array = np.array([[True, False, True]])
    elif datatype.startswith("FP"):
        array = np.array([[np.finfo(dtype).max, np.finfo(dtype).tiny, -0.1]], dtype=dtype)
    else:
        array = np.array([[np.iinfo(dtype).min, np.iinfo(dtype).max, 1]], dtype=dtype)
    # tritonclient knows no FP16 in JSON.
    forms = (True,) if datatype == "FP16" else (True, False)
    results = []
    for binary in forms:
        outputs = [triton.InferRequestedOutput("output", binary_data=binary)]
        got = client.infer(f"identity_{datatype}", [tensor("input", array, datatype, binary)], outputs=outputs)
        results.append(got.as_numpy("output").dtype == array.dtype and bool((got.as_numpy("output") == array).all()))
    seen["datatypes"][datatype] = results
odd = np.array([[np.nan, np.inf, -np.inf]], dtype=np.float32)
for binary in (True, False):
    outputs = [triton.InferRequestedOutput("output", binary_data=binary)]
    got = client.infer("identity_FP32", [tensor("input", odd, "FP32", binary)], outputs=outputs).as_numpy("output")
    seen[f"nonfinite {binary}"] = bool(np.array_equal(got, odd, equal_nan=True))

# Text.
words = np.array([["a".encode(), "é€😀".encode(), b""]], dtype=np.object_)
seen["words"] = {}
for binary in (True, False):
    outputs = [triton.InferRequestedOutput("output", binary_data=binary)]
    got = client.infer("words", [tensor("input", words, "BYTES", binary)], outputs=outputs).as_numpy("output")
    seen["words"][str(binary)] = [word.decode() if isinstance(word, bytes) else word for word in got[0]]
seen["no rows"] = list(
    client.infer("large", [tensor("input", np.zeros((0, 5), dtype=np.float32), "FP32")]).as_numpy("output").shape
)

# The greatest elements.
classes = [triton.InferRequestedOutput("sum", class_count=2)]
seen["classes"] = client.infer("two", pair(), outputs=classes).as_numpy("sum").astype(str).tolist()

# Many at once, on one client.
waiting = [client.async_infer("two", pair(), request_id=str(i)) for i in range(40)]
answers = [request.get_result(timeout=20) for request in waiting]
seen["async"] = [answer.get_response()["id"] for answer in answers] == [str(i) for i in range(40)]
seen["async_sums"] = all(answer.as_numpy("sum").tolist() == (left + right).tolist() for answer in answers)

statistics = client.get_inference_statistics("two")["model_stats"][0]
seen["statistics"] = {
    "name": statistics["name"],
    "version": statistics["version"],
    "inference_count": statistics["inference_count"] >= 130,
    "success": statistics["inference_stats"]["success"]["count"] >= 65,
    "batches": statistics["batch_stats"][0]["batch_size"] > 0,
}

# Mistakes.
short = triton.InferInput("left", [2, 3], "FP32")
short.set_data_from_numpy(left)
short._raw_data = short._raw_data[:-4]
short._parameters["binary_data_size"] = len(short._raw_data)
seen["errors"] = {
    "unknown model": error_of(lambda: client.infer("nobody", pair())),
    "unknown version": error_of(lambda: client.infer("two", pair(), model_version="9")),
    "no such output": error_of(lambda: client.infer("two", pair(), outputs=[triton.InferRequestedOutput("product")])),
    "missing input": error_of(lambda: client.infer("two", pair()[:1])),
    "wrong datatype": error_of(
        lambda: client.infer("two", [tensor("left", left.astype(np.int32), "INT32"), pair()[1]])
    ),
    "wrong shape": error_of(lambda: client.infer("two", [tensor("left", left[:, :2].copy(), "FP32"), pair()[1]])),
    "too few bytes": error_of(lambda: client.infer("two", [short, pair()[1]])),
    "load": error_of(lambda: client.load_model("two")),
    "unload": error_of(lambda: client.unload_model("two")),
    "timeout": error_of(
        lambda: triton.InferenceServerClient(address).infer(
            "slow",
            [tensor("iterations", np.array([[20_000]], dtype=np.int64), "INT64")],
            headers={"X-Request-Timeout": "0.05"},
        )
    ),
}


async def ask_async():
    async with triton_aio.InferenceServerClient(address) as aio:
        answers = await asyncio.gather(*(aio.infer("two", pair(), request_id=str(i)) for i in range(20)))
        return [
            await aio.is_server_ready(),
            (await aio.get_model_metadata("two"))["name"],
            [answer.get_response()["id"] for answer in answers] == [str(i) for i in range(20)],
            all(answer.as_numpy("sum").tolist() == (left + right).tolist() for answer in answers),
        ]


seen["aio"] = asyncio.run(ask_async())

# A server that leaves: not ready at once, and still answering until the load balancer knows.
os.kill(server_pid, signal.SIGTERM)
bound = time.monotonic() + 10
while client.is_server_ready() and time.monotonic() < bound:
    time.sleep(0.01)
seen["draining"] = {
    "ready": client.is_server_ready(),
    "live": client.is_server_live(),
    "sum": client.infer("two", pair()).as_numpy("sum").tolist(),
}
print(json.dumps(seen))
