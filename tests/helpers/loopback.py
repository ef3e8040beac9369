"""A server on this machine that speaks both wire formats, misbehaves on request and keeps a request log.

OpenAI chat completions (``/v1/chat/completions``) and Anthropic messages (``/v1/messages``, plain and
server-sent events, and message batches). A `fault` function decides for each request what goes wrong.
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

DIMENSIONS = (
    "factual_accuracy", "reasoning_quality", "completeness", "uncertainty_calibration", "domain_integration",
)  # fmt: skip
FLAGS = ("hallucination", "factual_error", "harmful_recommendation", "exceeds_data_scope", "novel_insight")


@dataclass
class Call:
    """One request: who asked what, how often the same was asked before, and what it was given."""

    path: str
    model: str
    text: str
    body: dict[str, Any]
    headers: dict[str, str]
    nth: int
    fault: str | None = None
    completed: bool = False

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.model}|{self.text}".encode()).hexdigest()[:16]

    @property
    def judging(self) -> bool:
        return "output_format" in self.body or "response_format" in self.body


Fault = Callable[[Call], str | None]
Reply = Callable[[Call], str]


def verdict(score: int = 4, **levels: int) -> str:
    """Return a valid reply of a judge (combined form)."""
    scores = {name: levels.get(name, score) for name in DIMENSIONS}
    return json.dumps(
        {
            **scores,
            "flags": dict.fromkeys(FLAGS, False),
            "strengths": ["clear"],
            "weaknesses": ["brief"],
            "missed_points": [],
            "justification": "Right on the facts, brief on uncertainty.",
        }
    )


def schema_of(body: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema that a judging request asks for."""
    if "output_format" in body:
        return body["output_format"]["schema"]
    return body["response_format"]["json_schema"]["schema"]


def default_reply(call: Call) -> str:
    """Answer a question in words, and a judging request with JSON that fits its schema."""
    if not call.judging:
        return f"An answer of {call.model}: with N = 4 crew members the power is low."
    fields = schema_of(call.body)["properties"]
    if "score" in fields:
        return json.dumps({"score": 4, "justification": "Sound."})
    if "factual_accuracy" in fields:
        return verdict()
    return json.dumps(dict.fromkeys(FLAGS, False))


class Loopback:
    """Run the server in a thread: ``with Loopback(fault=...) as server: server.url``."""

    def __init__(self, fault: Fault | None = None, reply: Reply = default_reply):
        self.fault, self.reply = fault, reply
        self.calls: list[Call] = []
        self.recorded = 0
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.changed = threading.Condition()
        self.released = threading.Event()
        self._seen: Counter[str] = Counter()

    def __enter__(self) -> "Loopback":
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.http.block_on_close = False
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()  # lets go of the requests that are held
        self.http.shutdown()
        self.http.server_close()

    def env(self, names: tuple[str, ...] = ("LOOP",), key: str = "sk-loopback-key-0123456789") -> dict[str, str]:
        """Return the environment that sends every provider here."""
        env = {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": key}
        env |= {"OPENAI_BASE_URL": f"{self.url}/v1", "OPENAI_API_KEY": key}
        for name in names:
            env |= {f"{name}_BASE_URL": f"{self.url}/v1", f"{name}_API_KEY": key}
        return env

    def record(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Call:
        text = "\n".join(_texts(body))
        call = Call(path, str(body.get("model")), text, body, headers, 0)
        with self.changed:
            call.nth = self._seen[call.key]
            self._seen[call.key] += 1
            call.fault = self.fault(call) if self.fault else None
            self.calls.append(call)
            self.changed.notify_all()
        return call

    def wait_until(self, condition: Callable[[], bool], process: BaseProcess) -> None:
        """Wait for a condition on this server's calls and records; fail if the process that makes them ends first."""

        def watch() -> None:
            wait([process.sentinel])
            with self.changed:
                self.changed.notify_all()

        threading.Thread(target=watch, daemon=True).start()
        with self.changed:
            self.changed.wait_for(lambda: condition() or not process.is_alive())
            assert condition(), f"the process ended by itself (code {process.exitcode})"

    @property
    def held(self) -> int:
        """Number of requests that are kept without a reply."""
        return sum(call.fault == "hold" for call in self.calls)

    @property
    def completed(self) -> list[Call]:
        return [c for c in self.calls if c.completed]

    def repeated(self) -> list[str]:
        """Return the keys of requests that were made again after they had been completed."""
        done: set[str] = set()
        again = []
        for call in self.calls:
            if call.key in done:
                again.append(call.key)
            if call.completed:
                done.add(call.key)
        return again


def _texts(body: dict[str, Any]) -> list[str]:
    """Return every text of a request, system prompt first."""
    parts: list[str] = []
    contents = [body.get("system")] + [m.get("content") for m in body.get("messages", [])]
    for content in contents:
        if isinstance(content, str):
            parts.append(content)
        elif isinstance(content, list):
            parts += [block.get("text", "") for block in content if isinstance(block, dict)]
    return parts


def _tokens(call: Call, text: str) -> tuple[int, int]:
    return max(1, len(call.text) // 4), max(1, len(text) // 4)


def _openai(call: Call, text: str, stop: str) -> dict[str, Any]:
    sent, received = _tokens(call, text)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{call.key}", "object": "chat.completion", "created": 1, "model": call.model,
        "choices": [{"index": 0, "message": message, "finish_reason": stop, "logprobs": None}],
        "usage": {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received},
    }  # fmt: skip


def _anthropic(call: Call, text: str, stop: str) -> dict[str, Any]:
    sent, received = _tokens(call, text)
    return {
        "id": f"msg_{call.key}", "type": "message", "role": "assistant", "model": call.model,
        "content": [{"type": "text", "text": text}], "stop_reason": stop, "stop_sequence": None,
        "usage": {"input_tokens": sent, "output_tokens": received},
    }  # fmt: skip


def _events(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an Anthropic message as the events of its stream."""
    text = message["content"][0]["text"]
    start, half = message | {"content": [], "stop_reason": None}, len(text) // 2
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text[:half]}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text[half:]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
         "usage": {"output_tokens": message["usage"]["output_tokens"]}},
        {"type": "message_stop"},
    ]  # fmt: skip


ERRORS = {
    "429": "rate_limit_error",
    "529": "overloaded_error",
    "500": "api_error",
    "400": "invalid_request_error",
    "401": "authentication_error",
}
STOPS = {
    "refusal": ("refusal", "content_filter"),
    "max_tokens": ("max_tokens", "length"),
    None: ("end_turn", "stop"),
}  # fmt: skip


def _handler(server: Loopback) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def send(self, status: int, payload: object, **headers: str) -> None:
            data = payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def cut(self, data: bytes, kind: str) -> None:
            """Send a part of what was announced, then drop the connection."""
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data) * 2))
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()
            self.close_connection = True

        def do_GET(self) -> None:
            name = self.path.removeprefix("/v1/messages/batches/").removesuffix("/results").split("?")[0]
            if name not in server.batches:
                return self.send(404, {"type": "error", "error": {"type": "not_found_error", "message": "none"}})
            if "/results" in self.path:
                lines = [json.dumps(line) for line in server.batches[name]]
                return self.send(200, "\n".join(lines) + "\n", Content_Type="application/x-jsonl")
            return self.send(200, _batch(name, "ended", len(server.batches[name]), server.url))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/recorded":
                with server.changed:
                    server.recorded += 1
                    server.changed.notify_all()
                return self.send(200, {})
            if self.path.split("?")[0] == "/v1/messages/batches":
                return self.batch(body)
            call = server.record(self.path, body, dict(self.headers))
            try:
                self.answer(call)
            except (BrokenPipeError, ConnectionResetError):
                call.completed = False

        def batch(self, body: dict[str, Any]) -> None:
            name = f"msgbatch_{len(server.batches)}"
            lines = []
            for request in body["requests"]:
                call = server.record("batch", request["params"], dict(self.headers))
                message = _anthropic(call, server.reply(call), "end_turn")
                result = {"type": "succeeded", "message": message}
                lines.append({"custom_id": request["custom_id"], "result": result})
                call.completed = True
            server.batches[name] = lines
            self.send(200, _batch(name, "in_progress", len(lines), server.url))

        def answer(self, call: Call) -> None:
            fault, anthropic = call.fault, call.path.startswith("/v1/messages")
            if fault in ERRORS:
                sent = {name.lower(): value for name, value in call.headers.items()}
                message = f"injected {fault} for {sent.get('x-api-key') or sent.get('authorization')}"
                error = {"type": ERRORS[fault], "message": message}
                return self.send(int(fault), {"type": "error", "error": error}, Retry_After="0.05")
            if fault == "hold":
                server.released.wait()
                self.close_connection = True
                return None
            if fault == "drop":
                self.close_connection = True
                return None
            text = {"empty": "", "bad_json": '{"factual_accuracy": 9, "oops'}.get(str(fault))
            text = server.reply(call) if text is None else text
            stops = STOPS.get(fault, STOPS[None])
            message = _anthropic(call, text, stops[0]) if anthropic else _openai(call, text, stops[1])
            if anthropic and call.body.get("stream"):
                lines = [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in _events(message)]
                if fault == "truncated":
                    return self.cut("".join(lines[:3]).encode(), "text/event-stream")
                self.send(200, "".join(lines), Content_Type="text/event-stream")
            elif fault == "truncated":
                return self.cut(json.dumps(message).encode()[:40], "application/json")
            else:
                self.send(200, message)
            call.completed = True
            return None

    return Handler


def _batch(name: str, status: str, count: int, url: str) -> dict[str, Any]:
    done = status == "ended"
    counts = {"processing": 0 if done else count, "succeeded": count if done else 0}
    return {
        "id": name, "type": "message_batch", "processing_status": status,
        "request_counts": counts | {"errored": 0, "canceled": 0, "expired": 0},
        "ended_at": "2026-01-01T00:00:00Z" if done else None, "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2026-01-02T00:00:00Z", "archived_at": None, "cancel_initiated_at": None,
        "results_url": f"{url}/v1/messages/batches/{name}/results" if done else None,
    }  # fmt: skip
