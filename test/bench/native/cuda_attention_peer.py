"""cuda_attention_peer.py: PyTorch's dense decode attention beside ours, on the same card, as rows of the GPU's bench.

usage: cuda_attention_peer.py BENCH OUT [quick]     BENCH is the program of cuda_attention_bench.cu; OUT gets JSON lines
The peer is scaled_dot_product_attention with every back end that takes the inputs, heads of a group as they are (enable_gqa)
and packed as query rows of one KV head, each captured in a CUDA graph over rotating inputs; the fastest median counts.
"""
import json, subprocess, sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as sdpa


def median_us(call, calls):
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for i in range(3):
            call(i)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(calls):
            call(i)
    for _ in range(3):
        graph.replay()
    times = []
    for _ in range(21):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / calls)
    return sorted(times)[len(times) // 2]


def dense_us(heads, kv_heads, size, context):
    bytes_each = 4 * kv_heads * size * context
    pools = max(1, min(64, 1 + (512 << 20) // bytes_each))
    kv = [torch.randn(2, 1, kv_heads, context, size, dtype=torch.float16, device="cuda") for _ in range(pools)]
    calls = max(pools, 8)
    q = torch.randn(calls, 1, heads, 1, size, dtype=torch.float16, device="cuda")
    group = heads // kv_heads
    ways = {
        "grouped": lambda i: sdpa(q[i % calls], kv[i % pools][0], kv[i % pools][1], enable_gqa=group > 1),
        "packed": lambda i: sdpa(q[i % calls].view(1, kv_heads, group, size), kv[i % pools][0], kv[i % pools][1]),
    }
    best = (float("inf"), "none")
    for backend in (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION):
        for way, call in ways.items():
            if group == 1 and way == "packed":
                continue
            try:
                with sdpa_kernel(backend):
                    best = min(best, (median_us(call, calls), backend.name.split("_")[0].lower() + " " + way))
            except Exception as error:
                print("no", backend, way, str(error)[:60], file=sys.stderr)
                torch.cuda.synchronize()
    del kv
    torch.cuda.empty_cache()
    return best


def main():
    bench, out = sys.argv[1:3]
    lines = subprocess.run([bench, *sys.argv[3:]], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    card = torch.cuda.get_device_name()
    rows = []
    for line in lines:
        if not line.startswith("{"):
            print(line)
            continue
        row = json.loads(line)
        us, back_end = dense_us(row["heads"], row["kvHeads"], row["headSize"], row["context"])
        row = {"bench": "gpu", "what": "attention", **row, "denseUs": round(us, 2), "denseBackEnd": back_end,
               "speedup": round(us / row["us"], 2), "ownDenseSpeedup": round(us / row["ownDenseUs"], 2), "gpu": card,
               "pageBudget": 2048, "summary": "mean-spread", "vote": "softmax", "denseLayers": 0,
               "cuda": torch.version.cuda, "torch": torch.__version__}
        rows.append(row)
        print("%2d/%-2d %3d %7d  us %7.1f | three %7.1f = score %6.1f select %5.1f attend %5.1f | dense own %7.1f torch %7.1f %s | %5.2fx share %.2f GB/s score %d attend %d dense %d of %d" % (
            row["heads"], row["kvHeads"], row["headSize"], row["context"], row["us"], row["threeKernelsUs"], row["scoreUs"], row["selectUs"], row["attendUs"],
            row["ownDenseUs"], us, back_end, row["speedup"], row["bytesShare"], row["scoreGBs"], row["attendGBs"], row["ownDenseGBs"], row["peakGBs"]), flush=True)
    with open(out, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


main()
