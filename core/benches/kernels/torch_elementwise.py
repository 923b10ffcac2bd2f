"""PyTorch's elementwise functions, as `elementwise` measures ours: the least nanoseconds per float32 element of many rounds.

    python torch_elementwise.py [PART OF A NAME]

Outputs are given where a function takes them, as ours do. `chain` is tanh(ax + b)·sigmoid(x) + x, one function after the other.
"""

import sys
import time

import torch
import torch.nn.functional as nn

ROUNDS = 31


def fastest(call):
    """The least nanoseconds of a call, over rounds of as many calls as take 0.4 ms."""
    call()
    start = time.perf_counter_ns()
    call()
    calls = max(1, min(4000, 400_000 // max(1, time.perf_counter_ns() - start)))
    least = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        for _ in range(calls):
            call()
        least = min(least, (time.perf_counter_ns() - start) / calls)
    return least


def cases(x, out):
    wide = x.double()
    wide_out = torch.empty_like(wide)
    rows = x.view(-1, 1000)
    simple = "exp tanh sigmoid log log1p expm1 sin cos tan sinh cosh asin acos atan asinh acosh atanh erf erfc rsqrt"
    yield "add", lambda: torch.add(x, x, out=out)
    yield "relu", lambda: torch.clamp_min(x, 0.0, out=out)
    for name in simple.split():
        function = getattr(torch, name)
        yield name, lambda function=function: function(x, out=out)
    yield "gelu", lambda: torch._C._nn.gelu(x, out=out)
    yield "softplus", lambda: torch._C._nn.softplus(x, out=out)
    yield "pow", lambda: torch.pow(x, x, out=out)
    yield "atan2", lambda: torch.atan2(x, x, out=out)
    yield "softmax", lambda: torch.softmax(rows, -1, out=out.view(-1, 1000))
    yield "log_softmax", lambda: nn.log_softmax(rows, -1)
    yield "f32 to i64", lambda: x.to(torch.int64)
    yield "f32 to u8", lambda: x.to(torch.uint8)
    for name in "sin cos erf erfc".split():
        function = getattr(torch, name)
        yield f"{name} of f64", lambda function=function: function(wide, out=wide_out)
    yield "pow of f64", lambda: torch.pow(wide, wide, out=wide_out)


def main():
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    print("torch", torch.__version__, torch.backends.cpu.get_cpu_capability())
    for n in (10_000, 100_000):
        x = ((torch.arange(n, dtype=torch.int64) * 7919) % 10007).float() / 1000 - 5
        out = torch.empty_like(x)
        for name, call in cases(x, out):
            if part in name:
                print(f"{n:7} {name:<14} {fastest(call) / n:7.3f}", flush=True)
    if part not in "chain":
        return
    for n in (100_000, 4 << 20):
        x = ((torch.arange(n, dtype=torch.int64) * 7919) % 10007).float() / 1000 - 5
        y, s = torch.empty_like(x), torch.empty_like(x)

        def chain():
            torch.mul(x, 0.75, out=y).add_(0.25).tanh_()
            torch.sigmoid(x, out=s)
            y.mul_(s).add_(x)

        for threads in (1, 2):
            torch.set_num_threads(threads)
            print(f"{n:7} chain, {threads} threads {8 * n / fastest(chain):.2f} GB/s", flush=True)


main()
