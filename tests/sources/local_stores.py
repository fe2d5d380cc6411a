"""Stores of models as the programs of this machine keep them, written on disk for tests."""

import hashlib
import json
from pathlib import Path
from typing import Any

from gguf_files import write_gguf

TENSORS = [("token_embd.weight", (64, 32), "F16"), ("output_norm.weight", (32,), "F32")]
SMALL_LLAMA: dict[str, object] = {
    "general.architecture": "llama",
    "llama.block_count": 1,
    "llama.context_length": 4096,
    "llama.embedding_length": 32,
    "llama.feed_forward_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b"],
}
LAYERS = [
    ("attn_norm.weight", (32,)), ("attn_q.weight", (32, 32)), ("attn_k.weight", (16, 32)), ("attn_v.weight", (16, 32)),
    ("attn_output.weight", (32, 32)), ("ffn_norm.weight", (32,)), ("ffn_gate.weight", (64, 32)),
    ("ffn_up.weight", (64, 32)), ("ffn_down.weight", (32, 64)),
]  # fmt: skip


def small_gguf(path: Path, matrices: str = "Q8_0", **changes: object) -> Path:
    """A llama of one layer that is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = TENSORS + [(f"blk.0.{name}", shape, matrices if len(shape) > 1 else "F32") for name, shape in LAYERS]
    metadata = SMALL_LLAMA | {key.replace("__", "."): value for key, value in changes.items()}
    return write_gguf(path, metadata, tensors)


class OllamaStore:
    """The store of Ollama."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)
        (root / "manifests").mkdir()

    def blob(self, data: bytes) -> str:
        """Store bytes; the digest."""
        digest = hashlib.sha256(data).hexdigest()
        (self.root / "blobs" / f"sha256-{digest}").write_bytes(data)
        return f"sha256:{digest}"

    def gguf(self, tmp_path: Path, **changes: object) -> str:
        """Store a small model; the digest."""
        return self.blob(small_gguf(tmp_path / "blob.gguf", **changes).read_bytes())

    def layer(self, kind: str, digest: str) -> dict[str, Any]:
        """A layer of a manifest."""
        return {"mediaType": f"application/vnd.ollama.image.{kind}", "digest": digest, "size": 1}

    def add(self, name: str, layers: list[dict[str, Any]], file_type: str = "Q8_0") -> Path:
        """Write a manifest HOST/NAMESPACE/MODEL/TAG."""
        config = self.blob(json.dumps({"model_format": "gguf", "file_type": file_type}).encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": config, "size": 1},
            "layers": layers,
        }
        return self.write(name, json.dumps(manifest))

    def write(self, name: str, text: str) -> Path:
        """Write the text of a manifest."""
        path = self.root / "manifests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path
