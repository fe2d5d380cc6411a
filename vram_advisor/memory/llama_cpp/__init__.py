"""Memory of llama.cpp, buffer by buffer.

llama.cpp decides all its buffers before it computes anything: where each weight lies, how many cells the cache has, and
what the compute graph needs at its worst moment. The first two are sums. The third is found the way llama.cpp finds it:
the graph of one batch is recorded (``graph``, ``layers`` ...), cut into parts for each device (``scheduler``) and laid
out by the allocator (``allocator``). What is alive at the worst moment is the explanation.

Source: llama.cpp v0.5.0, ``src/llama-*.cpp``, ``src/models``, ``ggml/src/ggml-alloc.c``, ``ggml/src/ggml-backend.cpp``.
"""
