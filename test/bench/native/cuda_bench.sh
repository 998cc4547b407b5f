#!/bin/bash
# cuda_bench.sh — the part of `npm run bench -- gpu` that runs on the GPU: it needs neither Node nor a compiler there.
#
#   QUIRE_COMMIT=… test/bench/native/cuda_bench.sh PROGRAMS OUT [attention] [decode] [matmul] [tier] [answers]
# PROGRAMS: the folder with bench_cuda_attention_bench, bench_cuda_decode and bench_cuda_matmul, as `npm run build:cuda -- --bench`
# leaves them; for tier and answers also bench_cuda_tier (which takes a trace of page_trace.cpp from QUIRE_TRACE) and
# bench_cuda_same_answers (QUIRE_MODEL a GGUF, QUIRE_TABLE what gguf-table.ts wrote of it). OUT gets a file of JSON lines for each part, every row with what made it. python3 with PyTorch measures the peer of attention.
set -eu
programs=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- attention decode matmul
here=$(dirname "$0")
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -n 1)
stamp="\"driver\":\"$driver\",\"commit\":\"${QUIRE_COMMIT:-unknown}\",\"date\":\"$(date -u +%FT%TZ)\",\"command\":\"npm run bench -- gpu\""
stamped() { sed -n "s|^{\(.*\)}\$|{\1,$stamp}|p" >"$out/$1.jsonl"; }
mkdir -p "$out"
for part in "$@"; do
  case $part in
    attention)
      python3 "$here/cuda_attention_peer.py" "$programs/bench_cuda_attention_bench" "$out/attention.raw" ${QUIRE_QUICK:+quick}
      stamped attention <"$out/attention.raw" && rm "$out/attention.raw"
      ;;
    decode) "$programs/bench_cuda_decode" ${QUIRE_DECODE:-} | tee /dev/stderr | stamped decode ;;
    matmul) "$programs/bench_cuda_matmul" | stamped matmul ;;
    tier) "$programs/bench_cuda_tier" ${QUIRE_TRACE:+--trace "$QUIRE_TRACE"} | stamped tier ;;
    answers)
      "$programs/bench_cuda_same_answers" "$QUIRE_MODEL" "$QUIRE_TABLE" |
        sed "s|^{|{\"model\":\"$(basename "$QUIRE_MODEL" .gguf)\",|" | stamped answers
      ;;
    *) echo "attention, decode, matmul, tier or answers, not $part" >&2 && exit 2 ;;
  esac
done
