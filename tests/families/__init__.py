"""Model families: each trained, published, loaded into the real vLLM and examined there."""
