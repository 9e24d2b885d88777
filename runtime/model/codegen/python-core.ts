/** What a generated Python client is made of whatever its model is. */
export const PYTHON_CORE = `
import http.client
import json
import random
import struct
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from urllib.parse import quote

_CODES = {
    "BOOL": ("?", 1), "INT8": ("b", 1), "UINT8": ("B", 1), "INT16": ("h", 2), "UINT16": ("H", 2), "FP16": ("e", 2),
    "INT32": ("i", 4), "UINT32": ("I", 4), "FP32": ("f", 4), "INT64": ("q", 8), "UINT64": ("Q", 8), "FP64": ("d", 8),
}
_NUMPY = {
    "BOOL": "?", "INT8": "<i1", "UINT8": "<u1", "INT16": "<i2", "UINT16": "<u2", "FP16": "<f2", "INT32": "<i4",
    "UINT32": "<u4", "FP32": "<f4", "INT64": "<i8", "UINT64": "<u8", "FP64": "<f8",
}


_PLAIN = (list, tuple, bool, int, float, str, bytes)


class InferenceError(Exception):
    """What the server answered instead of outputs; status is 0 where no answer came."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Tensor:
    """A tensor in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    raw: bytes

    @property
    def data(self) -> list[Any]:
        """Its elements, one after the other."""
        if self.datatype == "BYTES":
            texts, at = [], 0
            while at < len(self.raw):
                (length,) = struct.unpack_from("<I", self.raw, at)
                texts.append(self.raw[at + 4 : at + 4 + length].decode())
                at += 4 + length
            return texts
        code, size = _CODES[self.datatype]
        return list(struct.unpack(f"<{len(self.raw) // size}{code}", self.raw))

    def numpy(self) -> Any:
        """As a NumPy array of its shape; needs NumPy."""
        import numpy

        if self.datatype == "BYTES":
            return numpy.array(self.data, dtype=object).reshape(self.shape)
        return numpy.frombuffer(self.raw, dtype=_NUMPY[self.datatype]).reshape(self.shape)

    def top_labels(self, count: int = 1) -> list[list[tuple[str, float]]]:
        """The likeliest classes of each row with their scores, best first."""
        labels, width, data = LABELS[self.name], self.shape[-1], self.data
        rows = [data[at : at + width] for at in range(0, len(data), width)]
        return [sorted(zip(labels, row), key=lambda pair: -pair[1])[:count] for row in rows]


def _flatten(value: Any) -> tuple[list[Any], list[int]]:
    if not isinstance(value, (list, tuple)):
        return [value], []
    parts = [_flatten(each) for each in value]
    shape = parts[0][1] if parts else []
    if any(inner != shape for _, inner in parts):
        raise ValueError("the rows of a tensor must be equally long")
    return [element for data, _ in parts for element in data], [len(value), *shape]


def _encode(name: str, datatype: str, wanted: list[int | str], value: Any) -> tuple[list[int], bytes]:
    if hasattr(value, "__array__") and datatype != "BYTES":
        import numpy

        given = numpy.asarray(value)
        with numpy.errstate(invalid="ignore", over="ignore"):
            cast = given.astype(_NUMPY[datatype])
        if cast.dtype.kind in "biu" and not numpy.array_equal(cast, given):
            raise ValueError(f"input '{name}' must be {datatype}, got {given.dtype} with values that are none")
        shape, raw = list(given.shape), cast.tobytes()
        count = given.size
    else:
        if hasattr(value, "tolist"):
            value = value.tolist()
        elements, shape = _flatten(value if isinstance(value, _PLAIN) else list(value))
        count = len(elements)
        if datatype == "BYTES":
            texts = [text if isinstance(text, bytes) else str(text).encode() for text in elements]
            raw = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        else:
            try:
                raw = struct.pack(f"<{count}{_CODES[datatype][0]}", *elements)
            except (struct.error, OverflowError) as error:
                raise ValueError(f"input '{name}' must be {datatype}: {error}") from None
    fixed = wanted[1:]
    if len(shape) == 1 and len(wanted) > 1 and all(isinstance(size, int) for size in fixed):
        row = 1
        for size in fixed:
            row *= int(size)
        shape = [count // row if row else 0, *[int(size) for size in fixed]]
        if shape[0] * row != count:
            raise ValueError(f"input '{name}' must have a whole number of rows of {row} elements, got {count}")
    fits = len(shape) == len(wanted) and all(isinstance(size, str) or size == got for size, got in zip(wanted, shape))
    if not fits:
        raise ValueError(f"input '{name}' must have the shape {wanted}, got {shape}")
    return shape, raw


class _Transport:
    """The Open Inference Protocol with the binary tensor data extension, and what to do while a server is busy."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, timeout: float = 30.0, tries: int = 4) -> None:
        self._base, self._headers, self._timeout, self._tries = url.rstrip("/"), dict(headers or {}), timeout, tries

    def _infer(self, path: str, inputs: Mapping[str, Any], timeout: float | None) -> dict[str, Tensor]:
        unknown = set(inputs) - {name for name, _, _ in INPUTS}
        if unknown:
            raise ValueError(f"no input is called {sorted(unknown)[0]!r}")
        parts, described = [], []
        for name, datatype, wanted in INPUTS:
            if name not in inputs:
                raise ValueError(f"input '{name}' is missing")
            shape, raw = _encode(name, datatype, wanted, inputs[name])
            parts.append(raw)
            described.append(
                {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(raw)}}
            )
        asked = [{"name": name, "parameters": {"binary_data": True}} for name in OUTPUTS]
        header = json.dumps({"inputs": described, "outputs": asked}).encode()
        length, body = self._send(path, b"".join([header, *parts]), len(header), self._timeout if timeout is None else timeout)
        result, at = {}, length
        try:
            outputs = [(each, each["parameters"]["binary_data_size"]) for each in json.loads(body[:length])["outputs"]]
        except (ValueError, KeyError, TypeError):
            text = body[:100].decode(errors="replace")
            raise InferenceError(0, f"what answers is no inference server: {text}") from None
        for output, size in outputs:
            if at + size > len(body):
                raise InferenceError(0, "the answer is cut off")
            result[output["name"]] = Tensor(output["name"], output["datatype"], output["shape"], body[at : at + size])
            at += size
        return result

    def _send(self, path: str, body: bytes, header_length: int, timeout: float) -> tuple[int, bytes]:
        deadline = time.monotonic() + timeout
        for attempt in range(1, self._tries + 1):
            left = deadline - time.monotonic()
            if left <= 0:
                raise InferenceError(504, "no answer in the time of the call")
            headers = {
                **self._headers,
                "Content-Type": "application/octet-stream",
                "Inference-Header-Content-Length": str(header_length),
                "X-Request-Timeout": f"{left:.3f}",
            }
            wait = min(2.0, 0.05 * 2**attempt) * (0.5 + random.random())
            try:
                request = urllib.request.Request(self._base + path, data=body, headers=headers, method="POST")
                with urllib.request.urlopen(request, timeout=left) as response:
                    answer = response.read()
                    return int(response.headers.get("Inference-Header-Content-Length", len(answer))), answer
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                try:
                    message = json.loads(text)["error"]
                except (ValueError, KeyError, TypeError):
                    message = f"status {error.code}"
                failure = InferenceError(error.code, message)
                if error.code not in (429, 503):
                    raise failure from None
                after = error.headers.get("Retry-After", "")
                wait = float(after) if after.isdigit() and int(after) > 0 else wait
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                failure = InferenceError(0, str(getattr(error, "reason", error)))
            if attempt == self._tries or time.monotonic() + wait >= deadline:
                raise failure
            time.sleep(wait)
        raise InferenceError(0, "no try was allowed")
`;
