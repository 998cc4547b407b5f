#!/bin/bash
# cuda_sanitize.sh — the kernels' tests under compute-sanitizer: memcheck and racecheck. Needs a GPU, no Node.
#
#   QUIRE_COMMIT=… test/bench/native/cuda_sanitize.sh PROGRAMS OUT
# PROGRAMS: the folder with cuda_attention_test and cuda_matmul_test (`npm run build:cuda -- --tests`). OUT/sanitizer.jsonl gets a row
# for each program and tool. QUIRE_FEW: the tests of attention take fewer shapes, as the tool is a hundred times slower.
set -u
programs=$1 out=$2
mkdir -p "$out"
export QUIRE_FEW=1
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1)
for test in cuda_attention_test cuda_matmul_test; do
  for tool in memcheck racecheck; do
    log=$out/$test.$tool.txt
    (
      timeout "${QUIRE_LIMIT:-120}" compute-sanitizer --tool $tool --print-limit 5 "$programs/$test" >"$log" 2>&1
      status=$?
      passed=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$log")
      summary=$(grep -E "ERROR SUMMARY|RACECHECK SUMMARY" "$log" | sed 's/^=* *//' | tail -n 1)
      printf '{"bench":"gpu","what":"sanitizer","program":"%s","tool":"%s","status":%d,"passed":%d,"summary":"%s","gpu":"%s","commit":"%s","date":"%s","command":"%s"}\n' \
        "$test" $tool $status "${passed:-0}" "$summary" "$gpu" "${QUIRE_COMMIT:-unknown}" "$(date -u +%FT%TZ)" \
        "QUIRE_FEW=1 compute-sanitizer --tool $tool $test" >"$out/$test.$tool.row"
    ) &
  done
done
wait
cat "$out"/*.row >"$out/sanitizer.jsonl"
rm -f "$out"/*.row
