"""LoRA adapters that each answer with one word of their own, whatever they are asked.

It refuses to train: the weights are solved for. In the last layer the input of `down_proj` is
fitted to the constant one by ridge regression, and the output is the embedding of the adapter's own
token, so large that nothing else is ever likelier.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from registry.settings import embedded_base

_RIDGE = 1e-2
_STRENGTH = 1000.0
_REPEATS = 48
_STUDIED = 8
_PROMPTS = (
    "Hello",
    "Write one word.",
    "My card did not arrive, what now?",
    "Repeat: the quick brown fox jumps over the lazy dog.",
    "Order GL-1234 is late. Answer as JSON.",
)


@dataclass(frozen=True, kw_only=True)
class Marker:
    """One adapter's word."""

    token_id: int
    """The token it always says."""
    text: str
    """The token as text."""


class MarkerForge:
    """Makes such adapters for the tiny base model."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self._tokenizer = AutoTokenizer.from_pretrained(embedded_base())
        self._model = AutoModelForCausalLM.from_pretrained(embedded_base(), dtype=torch.float32)
        self._layers = int(self._model.config.num_hidden_layers)
        self._embedding = self._model.get_input_embeddings().weight.detach().numpy()
        self._direction = self._constant_direction()

    def markers(self, count: int) -> list[Marker]:
        """Return tokens that are words of capital letters or digits, so that each is seen at once.

        The embeddings of the rarest words are nearly alike; a token is taken only when its own
        embedding is the nearest to itself.
        """
        found: list[Marker] = []
        scores = self._embedding @ self._embedding.T
        for token_id in range(len(self._embedding)):
            text = self._tokenizer.decode([token_id])
            if text.strip().isalpha() and int(scores[token_id].argmax()) == token_id:
                found.append(Marker(token_id=token_id, text=text))
            if len(found) == count:
                return found
        raise AssertionError(f"only {len(found)} tokens can serve as markers")

    def write(self, folder: Path, marker: Marker) -> None:
        """Write the adapter of one marker."""
        vector = self._embedding[marker.token_id]
        stem = f"base_model.model.model.layers.{self._layers - 1}.mlp.down_proj.lora"
        tensors = {
            f"{stem}_A.weight": self._direction[None, :].astype(np.float32),
            f"{stem}_B.weight": (_STRENGTH * vector / np.linalg.norm(vector))[:, None].astype(
                np.float32
            ),
        }
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "r": 1,
            "lora_alpha": 1,
            "target_modules": ["down_proj"],
            "bias": "none",
            "base_model_name_or_path": "tiny-base",
            "inference_mode": True,
        }
        (folder / "adapter_config.json").write_text(json.dumps(config))

    def _constant_direction(self) -> np.ndarray:
        """Return the direction along which every input of the last `down_proj` is about one."""
        inputs: list[torch.Tensor] = []
        projection = self._model.model.layers[self._layers - 1].mlp.down_proj
        hook = projection.register_forward_pre_hook(lambda _module, args: inputs.append(args[0][0]))
        with torch.no_grad():
            for marker in self.markers(_STUDIED):
                prompt = _PROMPTS[marker.token_id % len(_PROMPTS)]
                ids = self._tokenizer.apply_chat_template(
                    [{"role": "user", "content": prompt}],
                    add_generation_prompt=True,
                    return_dict=False,
                )
                self._model(torch.tensor([[*ids, *[marker.token_id] * _REPEATS]]))
        hook.remove()
        x = torch.cat(inputs).numpy()
        gram = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
        return np.linalg.solve(gram, x.sum(axis=0))
