"""Talks to a server through KServe's own clients, REST and gRPC. Prints what came back as JSON.
Usage: kserve_client.py <http URL> <gRPC host:port>"""

import asyncio
import json
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

url, grpc_address = sys.argv[1:3]
left = np.arange(6, dtype=np.float32).reshape(2, 3)
right = np.ones((2, 3), dtype=np.float32)


def tensor(name, array, datatype, binary):
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def pair(binary, outputs=None, model="two"):
    inputs = [tensor("left", left, "FP32", binary), tensor("right", right, "FP32", binary)]
    # Anything that is true asks for binary outputs, and None is sent as null.
    parameters = {"binary_data_output": True} if binary else {}
    return InferRequest(model, inputs, parameters=parameters, request_outputs=outputs)


def output(response, name):
    return next(found for found in response.outputs if found.name == name).as_numpy()


async def status_of(call):
    try:
        return str(await call)
    except httpx.HTTPStatusError as error:
        return [error.response.status_code, str(error).split(", '")[0]]
    except grpc.RpcError as error:
        return [error.code().name, error.details()]


async def rest_v1():
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        instances = [{"left": a, "right": b} for a, b in zip(left.tolist(), right.tolist())]
        return {
            "live": await client.is_server_live(url),
            "model_ready": await client.is_model_ready(url, "two"),
            "answer": await client.infer(url, {"instances": instances}, model_name="two"),
            "one_input": await client.infer(url, {"instances": left.tolist()}, model_name="addone"),
            "unknown": await status_of(client.infer(url, {"instances": instances}, model_name="nobody")),
            "malformed": await status_of(client.infer(url, {"instance": []}, model_name="two")),
            "explain": (await status_of(client.explain(url, "two", {"instances": instances})))[0],
        }


async def rest_v2():
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        seen = {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model_ready": [await client.is_model_ready(url, "two"), await client.is_model_ready(url, "nobody")],
        }
        for binary in (True, False):
            headers = {}
            answer = await client.infer(url, pair(binary), model_name="two", response_headers=headers)
            seen[f"binary {binary}"] = {
                "sum": output(answer, "sum").tolist(),
                "larger": output(answer, "larger").tolist(),
                "model": answer.model_name,
                "has_id": len(answer.id) > 0,
                "encoding": headers.get("content-encoding"),
                "type": headers["content-type"],
            }
        asked = pair(True, [RequestedOutput("sum", {"binary_data": False}), RequestedOutput("larger", {"binary_data": True})])
        answer = await client.infer(url, asked, model_name="two")
        seen["one of each"] = [output(answer, "sum").tolist(), output(answer, "larger").tolist()]
        for binary in (True, False):
            empty = InferRequest("large", [tensor("input", np.zeros((0, 5), dtype=np.float32), "FP32", binary)])
            answer = await client.infer(url, empty, model_name="large")
            seen[f"empty {binary}"] = [answer.outputs[0].shape, answer.outputs[0].datatype]
            words = np.array([["a", "é€😀", ""]], dtype=np.object_)
            said = await client.infer(
                url,
                InferRequest("words", [tensor("input", words, "BYTES", binary)], parameters={"binary_data_output": binary}),
                model_name="words",
            )
            seen[f"words {binary}"] = [word.decode() if isinstance(word, bytes) else word for word in output(said, "output")[0]]
            half = np.array([[1.5, -0.25, 65504]], dtype=np.float16)
            if binary:
                got = await client.infer(
                    url,
                    InferRequest("identity_FP16", [tensor("input", half, "FP16", True)], parameters={"binary_data_output": True}),
                    model_name="identity_FP16",
                )
                seen["half"] = output(got, "output").tolist()
        long = np.arange(30_000, dtype=np.float32).reshape(1, -1)
        for binary in (True, False):
            headers = {}
            request = InferRequest("large", [tensor("input", long, "FP32", binary)], parameters={"binary_data_output": binary})
            answer = await client.infer(url, request, model_name="large", response_headers=headers)
            seen[f"long {binary}"] = [bool((output(answer, "output") == long).all()), headers.get("content-encoding")]
        many = await asyncio.gather(*(client.infer(url, pair(i % 2 == 0), model_name="two") for i in range(20)))
        seen["many"] = all(output(answer, "sum").tolist() == (left + right).tolist() for answer in many)
        seen["unknown"] = await status_of(client.infer(url, pair(True), model_name="nobody"))
        seen["missing"] = await status_of(
            client.infer(url, InferRequest("two", [tensor("left", left, "FP32", True)]), model_name="two")
        )
        return seen


async def over_grpc():
    async with InferenceGRPCClient(grpc_address, timeout=20) as client:
        raw = await client.infer(pair(True))
        typed = await client.infer(pair(False))
        words = np.array([["a".encode(), "é€😀".encode(), b""]], dtype=np.object_)
        said = await client.infer(InferRequest("words", [tensor("input", words, "BYTES", True)]))
        empty = await client.infer(
            InferRequest("large", [tensor("input", np.zeros((0, 5), dtype=np.float32), "FP32", True)])
        )
        return {
            "live": await client.is_server_live(),
            "ready": await client.is_server_ready(),
            "model_ready": await client.is_model_ready("two"),
            "unknown_ready": await status_of(client.is_model_ready("nobody")),
            "raw": [output(raw, "sum").tolist(), output(raw, "larger").tolist()],
            "typed": [output(typed, "sum").tolist(), output(typed, "larger").tolist()],
            "words": [word.decode() if isinstance(word, bytes) else word for word in output(said, "output")[0]],
            "empty": empty.outputs[0].shape,
            "unknown": await status_of(client.infer(pair(True, model="nobody"))),
        }


async def main():
    print(json.dumps({"v1": await rest_v1(), "v2": await rest_v2(), "grpc": await over_grpc()}))


asyncio.run(main())
