import type { Reporter, TestModule } from 'vitest/node';

/** Says which tests passed only when they were run again: each of them is a fault, in the test or in what it tests. */
export default class FlakyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    for (const module of modules) {
      for (const test of module.children.allTests('passed')) {
        if (test.diagnostic()?.flaky === true)
          console.log(`passed when run again: ${test.fullName} (${module.moduleId})`);
      }
    }
  }
}
