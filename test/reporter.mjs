// Closes a run with the skipped tests and their reasons, those that needed a second try, and one plain line that counts: `tests: 10 passed, 0 failed, 1 skipped`.
import { writeFileSync } from 'node:fs';

export default class SummaryReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: 0, skipped: 0 };
    const skips = [];
    const flaky = [];
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests) {
        const { state, note } = test.result();
        if (state === 'skipped')
          skips.push({ name: `${module.relativeModuleId} > ${test.fullName}`, reason: note ?? 'no reason given' });
        if (test.diagnostic()?.flaky) flaky.push(`${module.relativeModuleId} > ${test.fullName}`);
        counts[state] = (counts[state] ?? 0) + 1;
      }
      // A file that cannot be loaded, or whose hook fails, has no failing test of its own.
      if (module.state() === 'failed' && !tests.some((test) => test.result().state === 'failed')) counts.failed += 1;
    }
    counts.failed += unhandledErrors.length + (counts.pending ?? 0);
    for (const { name, reason } of skips) console.log(`skipped: ${name}\n         ${reason}`);
    for (const name of flaky) console.log(`passed on its second try: ${name}`);
    if (process.env.TEST_SKIPS_FILE !== undefined) {
      writeFileSync(process.env.TEST_SKIPS_FILE, skips.map(({ name, reason }) => `${name} | ${reason}\n`).join(''));
    }
    console.log(`tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
}
