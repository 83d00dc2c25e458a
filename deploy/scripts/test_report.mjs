/** What a step of `npm test` left behind: counts and the failed tests, out of the JSON report of vitest or of Playwright. */
import { readFileSync } from 'node:fs';

/** Lines of an error that stand under its name at the end of the run. */
const shownLines = 12;

/**
 * A report that is missing and an error outside of any test are failures of their own: then the end of `output` says what
 * happened.
 * @returns {{ passed: number, failed: number, skipped: number, failures: { name: string, error: string }[] }}
 */
export function readReport(file, code, output) {
  const outside = (name) => ({ name, error: tail(output) });
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0, failures: [outside('no report was written')] };
  }
  const found = report.stats ? ofPlaywright(report) : ofVitest(report);
  if (code !== 0 && found.failed === 0)
    return { ...found, failed: 1, failures: [outside('an error outside of the tests')] };
  return found;
}

function ofVitest(report) {
  const failures = [];
  for (const file of report.testResults) {
    const failed = file.assertionResults.filter((test) => test.status === 'failed');
    for (const test of failed)
      failures.push({ name: `${file.name} > ${test.fullName}`, error: head(test.failureMessages.join('\n')) });
    // A file that cannot be loaded, or whose hook failed, has no test that could.
    if (file.status === 'failed' && failed.length === 0) failures.push({ name: file.name, error: head(file.message) });
  }
  return {
    passed: report.numPassedTests,
    failed: failures.length,
    skipped: report.numPendingTests + report.numTodoTests,
    failures,
  };
}

function ofPlaywright(report) {
  const failures = report.errors.map((error) => ({ name: 'browser', error: head(error.message) }));
  const walk = (suite) => {
    for (const inner of suite.suites ?? []) walk(inner);
    for (const spec of suite.specs ?? [])
      for (const test of spec.tests) {
        // A test that passed only the second time is a failure: a flaky test is a bug.
        if (test.status !== 'unexpected' && test.status !== 'flaky') continue;
        const error = test.results.flatMap((result) => result.errors)[0];
        failures.push({ name: `${spec.file}:${spec.line} > ${spec.title}`, error: head(error?.message) });
      }
  };
  for (const suite of report.suites) walk(suite);
  return {
    passed: report.stats.expected,
    failed: report.stats.unexpected + report.stats.flaky + report.errors.length,
    skipped: report.stats.skipped,
    failures,
  };
}

const head = (text) => (text ?? '').split('\n').slice(0, shownLines).join('\n');
const tail = (text) => text.trim().split('\n').slice(-3 * shownLines).join('\n');
