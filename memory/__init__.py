"""What happened, and what is recalled of it: the journal, the facts, the vector index, the card.

The truth is one SQLite file; the Chroma folder is an index of it that can be rebuilt at any time.
Importing anything here is cheap: chromadb, torch and sentence-transformers load on first use.
"""

import os

# Nothing leaves this machine, and nothing is kept outside of the home. Both libraries send unless they are
# told otherwise before they are imported; onnxruntime (from 1.29 on) also keeps an id of the device, and what
# it means to send, in ~/.cache/Microsoft.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
