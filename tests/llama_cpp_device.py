"""A CUDA device for llama.cpp that exists on paper: it has CUDA's alignment, padding and kernels, and computes nothing.

llama.cpp asks a device how large a tensor would be in its memory and which operations it runs; with the answers of
``ggml/src/ggml-cuda/ggml-cuda.cu`` it plans on a machine without a GPU what it would plan on one with it.
"""

import ctypes as c
from collections.abc import Callable
from math import prod
from typing import Any

from llama_cpp_structs import Library, Pointer, Size, Tensor, pointer_at

ALIGNMENT, HOST_ALIGNMENT, ROW = 128, 32, 512
GPU_TYPE, F16 = 1, 1
SUPPORTS = (True, True, False, True, True)
"""Asynchronous, pinned host memory, buffers from a pointer, events, mmap."""
MUL_MAT, MUL_MAT_ID, GET_ROWS, ROPE, FLASH_ATTN, SSM_SCAN = 29, 30, 40, 48, 74, 77
"""Numbers of the operations (enum ggml_op)."""
SMALL_ROWS = (20, 39, 40)
"""IQ4_NL, MXFP4, NVFP4: rows are picked only where they are a multiple of 256."""
HEADS = (40, 64, 72, 80, 96, 112, 128, 256, 512)
UNEQUAL_HEADS = {576: 512, 192: 128, 320: 256}
LEAST_ROWS = 32


def padded(nbytes: int, alignment: int) -> int:
    """The next multiple."""
    return -(-nbytes // alignment) * alignment


class Devices:
    """So many devices, registered with a library."""

    def __init__(self, library: Library, count: int) -> None:
        self.library, self.count = library, count
        self.kept: list[Any] = []
        self.texts = [c.create_string_buffer(f"CUDA{i}".encode()) for i in range(count)]
        self.host_text = c.create_string_buffer(b"CUDA_Host")
        self.tables = [(Pointer * 20)() for _ in range(count)]
        self.buffer_tables = [(Pointer * 8)() for _ in range(count)]
        self.host_table, self.registry = (Pointer * 8)(), (Pointer * 6)()
        self.addresses = [c.addressof(table) for table in self.tables]
        self.buffer_types = [c.addressof(table) for table in self.buffer_tables]
        self.host_type = c.addressof(self.host_table)
        self.malloc, self.free = c.CDLL(None).aligned_alloc, c.CDLL(None).free
        self.malloc.restype, self.malloc.argtypes = Pointer, [Size, Size]
        self.free.restype, self.free.argtypes = None, [Pointer]
        self.allocated: list[int] = []
        self.fill_buffer_types()
        self.fill_devices()
        self.fill_registry()

    def call(self, result: Any, function: Callable[..., Any], *arguments: Any) -> int:
        """The address of a Python function for C."""
        made = c.CFUNCTYPE(result, *arguments)(function)
        self.kept.append(made)
        return c.cast(made, Pointer).value or 0

    def fill_buffer_types(self) -> None:
        """ggml_backend_buffer_type_i: name, allocation, alignment, largest, size of a tensor, whether it is host memory."""
        name = self.call(Pointer, self.name_of_buffers, Pointer)
        allocate = self.call(Pointer, self.allocate, Pointer, Size)
        align = self.call(Size, lambda b: HOST_ALIGNMENT if b == self.host_type else ALIGNMENT, Pointer)
        size = self.call(Size, lambda b, t: self.size(Tensor(t)), Pointer, Pointer)
        yes = self.call(c.c_bool, lambda b: True, Pointer)
        for table, device in zip(self.buffer_tables, self.addresses, strict=True):
            table[:] = [name, allocate, align, None, size, None, device, None]
        self.host_table[:] = [name, allocate, align, None, None, yes, self.addresses[0], None]

    def fill_devices(self) -> None:
        """ggml_backend_device_i."""
        name = self.call(Pointer, lambda d: c.addressof(self.texts[self.addresses.index(d)]), Pointer)
        functions = [
            name,
            name,
            self.call(None, self.memory, Pointer, Pointer, Pointer),
            self.call(c.c_int, lambda d: GPU_TYPE, Pointer),
            self.call(None, self.properties, Pointer, Pointer),
            self.call(Pointer, self.start, Pointer, Pointer),
            self.call(Pointer, lambda d: self.buffer_types[self.addresses.index(d)], Pointer),
            self.call(Pointer, lambda d: self.host_type, Pointer),
            None,
            self.call(c.c_bool, self.supports, Pointer, Pointer),
            self.call(c.c_bool, lambda d, b: b == self.buffer_types[self.addresses.index(d)], Pointer, Pointer),
            self.call(c.c_bool, lambda d, t: worth_offloading(Tensor(t)), Pointer, Pointer),
        ]
        for table in self.tables:
            table[: len(functions)] = functions
            table[15] = c.addressof(self.registry)

    def fill_registry(self) -> None:
        """ggml_backend_reg."""
        self.registry[:] = [
            2,
            self.call(Pointer, lambda r: c.addressof(self.texts[0]), Pointer),
            self.call(Size, lambda r: self.count, Pointer),
            self.call(Pointer, lambda r, i: self.addresses[i], Pointer, Size),
            None,
            None,
        ]
        self.library.register(c.addressof(self.registry))

    def name_of_buffers(self, kind: int) -> int:
        """The name of a buffer type."""
        text = self.host_text if kind == self.host_type else self.texts[self.buffer_types.index(kind)]
        return c.addressof(text)

    def allocate(self, kind: int, nbytes: int) -> int:
        """States of fixed size and adapters are allocated even in a plan: in the memory of this machine."""
        address: int = self.malloc(4096, padded(max(nbytes, 1), 4096))
        self.allocated.append(address)
        buffer: int = self.library.buffer_from(address, nbytes)
        c.c_void_p.from_address(buffer + 88).value = kind
        return buffer

    def release(self) -> None:
        """Give back what was allocated: once nothing of the plan is in use."""
        for address in self.allocated:
            self.free(address)
        self.allocated.clear()

    def size(self, tensor: Tensor) -> int:
        """Bytes of a tensor: quantised rows run on to a multiple of 512, and attention copies its cache to F16."""
        library = self.library
        nbytes: int = library.nbytes(tensor.address)
        keys, values = tensor.source(1), tensor.source(2)
        if tensor.op == FLASH_ATTN and keys and values:
            for cached in (keys, values):
                if cached.type != F16 and not (cached is values and values.origin == keys.origin):
                    nbytes = padded(nbytes, ALIGNMENT) + 2 * prod(cached.ne)
        if library.is_quantized(tensor.type) and tensor.ne[0] % ROW:
            nbytes += library.row_size(tensor.type, ROW - tensor.ne[0] % ROW)
        return nbytes

    def memory(self, device: int, free: int, total: int) -> None:
        """80 GiB, all of it free."""
        for address in (free, total):
            c.c_size_t.from_address(address).value = 80 << 30

    def properties(self, device: int, to: int) -> None:
        """ggml_backend_dev_props."""
        name = c.addressof(self.texts[self.addresses.index(device)])
        for offset, value in ((0, name), (8, name), (16, 80 << 30), (24, 80 << 30), (32, GPU_TYPE), (40, 0)):
            c.c_uint64.from_address(to + offset).value = value
        for i, supported in enumerate(SUPPORTS):
            c.c_uint8.from_address(to + 48 + i).value = supported

    def start(self, device: int, parameters: int) -> int:
        """A backend that refuses to compute."""
        table, guid = (Pointer * 20)(), c.create_string_buffer(16)
        self.kept += [table, guid]
        table[0] = c.addressof(guid)
        table[1] = self.call(Pointer, lambda b: c.addressof(self.texts[0]), Pointer)
        table[2] = self.call(None, lambda b: None, Pointer)
        table[13] = self.call(c.c_int, lambda b, g: -1, Pointer, Pointer)
        table[17] = device
        return c.addressof(table)

    def supports(self, device: int, address: int) -> bool:
        """Whether a kernel exists, and nothing lies on another device."""
        tensor = Tensor(address)
        own = self.buffer_types[self.addresses.index(device)]
        for i in range(10):
            source = tensor.source(i)
            if source and source.buffer_type in self.buffer_types and source.buffer_type != own:
                return False
        return has_kernel(tensor)


def has_kernel(tensor: Tensor) -> bool:
    """Whether CUDA runs an operation on these shapes."""
    first, keys, values = (tensor.source(i) for i in range(3))
    if tensor.op == GET_ROWS and first:
        return not (first.type in SMALL_ROWS and first.ne[0] % 256)
    if tensor.op == FLASH_ATTN and keys and values:
        width = keys.ne[0]
        return values.ne[0] == (UNEQUAL_HEADS.get(width) or (width if width in HEADS else -1))
    if tensor.op == SSM_SCAN and first:
        decay = tensor.source(3)
        if decay and decay.ne[0] == 1:
            return first.ne[0] in (128, 256) and first.ne[1] % 16 == 0
        return first.ne[0] == 16 and first.ne[1] == 1 and first.ne[2] % 128 == 0
    return True


def worth_offloading(tensor: Tensor) -> bool:
    """Whether an operation on weights of the host is brought to a device."""
    if tensor.op == GET_ROWS:
        return False
    rows = {MUL_MAT: tensor.ne[1], MUL_MAT_ID: tensor.ne[2], ROPE: tensor.ne[2]}
    return rows.get(tensor.op, prod(tensor.ne[1:])) >= LEAST_ROWS


def breakdown(library: Library, context: int) -> dict[str, list[int]]:
    """Bytes of model, context and compute by buffer type: a std::map (libstdc++) that is returned by value [B]."""
    head = (c.c_uint64 * 6)()
    library.breakdown(c.addressof(head), context)
    found: dict[str, list[int]] = {}

    def walk(node: int | None) -> None:
        if not node:
            return
        walk(pointer_at(node, 16))
        name = library.buffer_type_name(pointer_at(node, 32)).decode()
        sizes = [c.c_uint64.from_address(node + 40 + 8 * i).value for i in range(3)]
        found[name] = [a + b for a, b in zip(found.get(name, [0, 0, 0]), sizes, strict=True)]
        walk(pointer_at(node, 24))

    walk(head[2])
    return found
