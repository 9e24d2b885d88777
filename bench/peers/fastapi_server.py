"""FastAPI + uvicorn + onnxruntime, as most teams begin: OIP JSON and binary tensors, runs in the thread pool."""
import json
import os
import sys

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

options = ort.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
NAME = session.get_inputs()[0].name
app = FastAPI()


@app.get("/ready")
async def ready():
    return {"ready": True}


@app.post("/v2/models/{model}/infer")
async def infer(model: str, request: Request):
    body = await request.body()
    length = request.headers.get("inference-header-content-length")
    header = json.loads(body if length is None else body[: int(length)])
    (entry,) = header["inputs"]
    if length is None:
        data = np.array(entry["data"], dtype=np.float32).reshape(entry["shape"])
    else:
        data = np.frombuffer(body, dtype=np.float32, offset=int(length)).reshape(entry["shape"])
    (output,) = await run_in_threadpool(session.run, None, {NAME: data})
    if length is None:
        tensor = {"name": "output", "datatype": "FP32", "shape": list(output.shape), "data": output.ravel().tolist()}
        return JSONResponse({"model_name": model, "outputs": [tensor]})
    raw = output.tobytes()
    tensor = {"name": "output", "datatype": "FP32", "shape": list(output.shape), "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"model_name": model, "outputs": [tensor]}).encode()
    return Response(head + raw, media_type="application/octet-stream", headers={"Inference-Header-Content-Length": str(len(head))})


# PLAIN: what `pip install uvicorn` runs on; otherwise uvicorn[standard]'s uvloop and httptools.
plain = {"loop": "asyncio", "http": "h11"} if os.environ.get("PLAIN") == "1" else {"loop": "uvloop", "http": "httptools"}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", workers=1, **plain)
