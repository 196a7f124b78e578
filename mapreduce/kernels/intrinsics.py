"""Which machine operations do the kernels need that Python has no word for?

Unaligned loads, 64-byte compares that yield a bit mask, bit counting, 64 x 64 bit products, prefetch: each is one LLVM
operation, so they are portable; LLVM picks AVX-512, AVX2, SSE or NEON instructions for this CPU. Imported while
compiling only.
"""

# numba infers the types
# mypy: ignore-errors

from __future__ import annotations

from llvmlite import ir
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

# A call that is not inlined hands an error code back, and the code for raising it needs symbols of numba.
inlined = njit(forceinline=True, error_model="numpy")

_BYTES = ir.VectorType(ir.IntType(8), 64)
_HALF = ir.VectorType(ir.IntType(8), 16)
_I1, _I8, _I32, _I64, _I128 = (ir.IntType(bits) for bits in (1, 8, 32, 64, 128))


def _load_vector(builder, pointer, index):
    address = builder.bitcast(builder.gep(pointer, [index]), _BYTES.as_pointer())
    return builder.load(address, align=1)


def _splat(byte):
    return ir.Constant(_BYTES, [byte] * 64)


def _splat_value(builder, value):
    one = builder.insert_element(ir.Constant(_BYTES, ir.Undefined), value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, 64), [0] * 64))


def _mask(builder, bits):
    return builder.bitcast(bits, _I64)


def _prefetch(builder, address):
    kind = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
    function = builder.module.globals.get("llvm.prefetch.p0")
    function = function or ir.Function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [address, ir.Constant(_I32, 0), ir.Constant(_I32, 3), ir.Constant(_I32, 1)])


@intrinsic
def load64(typing, data, index):
    """The 8 bytes at data[index:], little-endian, at any alignment."""

    def build(context, builder, signature, args):
        address = builder.bitcast(builder.gep(args[0], [args[1]]), _I64.as_pointer())
        return builder.load(address, align=1)

    return types.uint64(data, types.int64), build


@intrinsic
def space_mask(typing, data, index):
    """Bit i is set where data[index + i] is ASCII white space (of str.split), for 64 bytes."""

    def build(context, builder, signature, args):
        block = _load_vector(builder, args[0], args[1])
        blank = builder.icmp_unsigned("==", block, _splat(32))
        tab_to_return = builder.icmp_unsigned("<", builder.sub(block, _splat(9)), _splat(5))
        separators = builder.icmp_unsigned("<", builder.sub(block, _splat(28)), _splat(4))
        return _mask(builder, builder.or_(builder.or_(blank, tab_to_return), separators))

    return types.uint64(data, types.int64), build


@intrinsic
def high_mask(typing, data, index):
    """Bit i is set where data[index + i] is 128 or more, for 64 bytes."""

    def build(context, builder, signature, args):
        block = _load_vector(builder, args[0], args[1])
        return _mask(builder, builder.icmp_signed("<", block, _splat(0)))

    return types.uint64(data, types.int64), build


@intrinsic
def equal_mask(typing, data, index, byte):
    """Bit i is set where data[index + i] == byte, for 64 bytes."""

    def build(context, builder, signature, args):
        block = _load_vector(builder, args[0], args[1])
        return _mask(builder, builder.icmp_unsigned("==", block, _splat_value(builder, args[2])))

    return types.uint64(data, types.int64, types.uint8), build


@intrinsic
def trailing_zeros(typing, bits):
    """Index of the lowest set bit; 64 for 0."""

    def build(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(_I1, 0))

    return types.int64(types.uint64), build


@intrinsic
def ones(typing, bits):
    """How many bits are set."""

    def build(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.int64(types.uint64), build


@intrinsic
def fold_product(typing, a, b):
    """Both halves of the 128-bit product, xored: the mixing step of the wyhash family."""

    def build(context, builder, signature, args):
        product = builder.mul(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
        high = builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64)
        return builder.xor(builder.trunc(product, _I64), high)

    return types.uint64(types.uint64, types.uint64), build


@intrinsic
def prefetch(typing, pointer, index):
    """Begin to load the cache line of pointer[index]; never faults."""

    def build(context, builder, signature, args):
        _prefetch(builder, builder.bitcast(builder.gep(args[0], [args[1]]), _I8.as_pointer()))
        return context.get_dummy_value()

    return types.void(pointer, types.int64), build


@intrinsic
def put_float64(typing, address, value):
    """Store at an address that came as an integer."""

    def build(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], ir.DoubleType().as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), build


@intrinsic
def put_int64(typing, address, value):
    """Store at an address that came as an integer."""

    def build(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _I64.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def put_int32(typing, address, value):
    """Store at an address that came as an integer."""

    def build(context, builder, signature, args):
        builder.store(builder.trunc(args[1], _I32), builder.inttoptr(args[0], _I32.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def put_uint8(typing, address, value):
    """Store at an address that came as an integer."""

    def build(context, builder, signature, args):
        builder.store(args[1], builder.inttoptr(args[0], _I8.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.uint8), build


@intrinsic
def put_bytes16(typing, address, data, index):
    """Copy the 16 bytes at data[index:] to an address that came as an integer."""

    def build(context, builder, signature, args):
        value = builder.load(builder.bitcast(builder.gep(args[1], [args[2]]), _HALF.as_pointer()), align=1)
        builder.store(value, builder.inttoptr(args[0], _HALF.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, data, types.int64), build


@intrinsic
def high_product(typing, a, b):
    """The upper 64 bits of the 128-bit product."""

    def build(context, builder, signature, args):
        product = builder.mul(builder.zext(args[0], _I128), builder.zext(args[1], _I128))
        return builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64)

    return types.uint64(types.uint64, types.uint64), build


@intrinsic
def leading_zeros(typing, bits):
    """How many bits above the highest set bit; 64 for 0."""

    def build(context, builder, signature, args):
        return builder.ctlz(args[0], ir.Constant(_I1, 0))

    return types.int64(types.uint64), build


@intrinsic
def as_float64(typing, bits):
    """The double with these bits."""

    def build(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), build


@intrinsic
def big32_at(typing, address):
    """The 4 bytes at an address, big-endian: they compare as the bytes do."""

    def build(context, builder, signature, args):
        value = builder.load(builder.inttoptr(args[0], _I32.as_pointer()), align=1)
        return builder.zext(builder.bswap(value), _I64)

    return types.uint64(types.int64), build


@intrinsic
def int64_at(typing, address):
    """The integer at an address."""

    def build(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _I64.as_pointer()), align=8)

    return types.int64(types.int64), build


@intrinsic
def address_of(typing, pointer):
    """Where a pointer points."""

    def build(context, builder, signature, args):
        return builder.ptrtoint(args[0], _I64)

    return types.int64(pointer), build


def _call(builder, result, function, arguments):
    kind = ir.FunctionType(result, [_I64] * len(arguments))
    return builder.call(builder.inttoptr(function, kind.as_pointer()), arguments)


@intrinsic
def call_0(typing, function):
    """Call the C function at an address; it returns a pointer or an integer of that size, or nothing of interest."""

    def build(context, builder, signature, args):
        return _call(builder, _I64, args[0], args[1:])

    return types.int64(types.int64), build


@intrinsic
def call_1(typing, function, argument):
    """The same with a pointer, or an integer of that size, as argument."""

    def build(context, builder, signature, args):
        return _call(builder, _I64, args[0], args[1:])

    return types.int64(types.int64, types.int64), build


@intrinsic
def call_2(typing, function, first, second):
    """The same with two arguments."""

    def build(context, builder, signature, args):
        return _call(builder, _I64, args[0], args[1:])

    return types.int64(types.int64, types.int64, types.int64), build


@intrinsic
def call_float64(typing, function, argument):
    """Call the C function at an address, that takes a pointer and returns a double."""

    def build(context, builder, signature, args):
        return _call(builder, ir.DoubleType(), args[0], args[1:])

    return types.float64(types.int64, types.int64), build


@intrinsic
def uint8_at(typing, address):
    """The byte at an address."""

    def build(context, builder, signature, args):
        return builder.load(builder.inttoptr(args[0], _I8.as_pointer()))

    return types.uint8(types.int64), build


@intrinsic
def move16(typing, to, source):
    """Copy 16 bytes from one address to another."""

    def build(context, builder, signature, args):
        value = builder.load(builder.inttoptr(args[1], _HALF.as_pointer()), align=1)
        builder.store(value, builder.inttoptr(args[0], _HALF.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def prefetch_at(typing, address):
    """Begin to load the cache line at an address; never faults."""

    def build(context, builder, signature, args):
        _prefetch(builder, builder.inttoptr(args[0], _I8.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64), build


@intrinsic
def nearest_in_lanes(typing, x, at, d, centers, k, least, best):
    """least[lane], best[lane]: the smallest of sum_j (x[at + j] - centers[j * k + c])^2 over c = lane, lane + 8, ...,
    and the first c that has it. k is a multiple of 8; eight sums are one vector. NaN is never the smallest.
    """

    def build(context, builder, signature, args):
        x, at, d, centers, k, least, best = args
        squares = ir.VectorType(ir.DoubleType(), 8)
        indices = ir.VectorType(_I64, 8)
        best_sum = cgutils.alloca_once_value(builder, ir.Constant(squares, [float("inf")] * 8))
        best_index = cgutils.alloca_once_value(builder, ir.Constant(indices, list(range(8))))
        total = cgutils.alloca_once(builder, squares)
        index = cgutils.alloca_once_value(builder, ir.Constant(indices, list(range(8))))
        with cgutils.for_range_slice(builder, ir.Constant(_I64, 0), k, ir.Constant(_I64, 8)) as (first, _):
            builder.store(ir.Constant(squares, [0.0] * 8), total)
            with cgutils.for_range(builder, d) as row:
                place = builder.add(builder.mul(row.index, k), first)
                center = builder.load(builder.bitcast(builder.gep(centers, [place]), squares.as_pointer()), align=8)
                value = builder.load(builder.gep(x, [builder.add(at, row.index)]))
                one = builder.insert_element(ir.Constant(squares, ir.Undefined), value, ir.Constant(_I32, 0))
                all_8 = builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_I32, 8), [0] * 8))
                difference = builder.fsub(all_8, center)
                builder.store(builder.fadd(builder.load(total), builder.fmul(difference, difference)), total)
            closer = builder.fcmp_ordered("<", builder.load(total), builder.load(best_sum))
            builder.store(builder.select(closer, builder.load(total), builder.load(best_sum)), best_sum)
            builder.store(builder.select(closer, builder.load(index), builder.load(best_index)), best_index)
            builder.store(builder.add(builder.load(index), ir.Constant(indices, [8] * 8)), index)
        builder.store(builder.load(best_sum), builder.bitcast(least, squares.as_pointer()), align=8)
        builder.store(builder.load(best_index), builder.bitcast(best, indices.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, centers, types.int64, least, best), build
