// native-tests.test.ts — the counts read from ctest's report.
import assert from "node:assert/strict";
import { countCtest } from "../../scripts/native-tests.mjs";

const report = `Test project /somewhere/build/tests
      Start  1: kernels/rows_test.cpp: Rows.Norm
      Start  2: kernels/rows_test.cpp: Rows.Swiglu
 1/6 Test  #1: kernels/rows_test.cpp: Rows.Norm .........................   Passed    0.01 sec
 2/6 Test  #2: kernels/rows_test.cpp: Rows.Swiglu .......................***Failed    0.02 sec
Rows.Swiglu: 1/6 Test #9: words of a failing test
 3/6 Test  #3: core/half_test.cpp: All/Half.RoundTrip/Passed # 12 .......   Passed    0.00 sec
 4/6 Test  #4: kernels/rows_test.cpp: Rows.Avx512 .......................***Skipped   0.00 sec
 5/6 Test  #5: kernels/rows_test.cpp: Rows.Crash ........................***Exception: SegFault  0.10 sec
 6/6 Test  #6: kernels_other_test_NOT_BUILT .............................***Not Run   0.00 sec

50% tests passed, 3 tests failed out of 6
`;

describe("countCtest", () => {
  it("counts passed, failed and skipped tests", () => {
    assert.deepEqual(countCtest(report), { passed: 2, failed: 3, skipped: 1 });
  });
  it("counts nothing where nothing ran", () => {
    assert.deepEqual(countCtest("No tests were found!!!\n"), { passed: 0, failed: 0, skipped: 0 });
  });
});
