import { expect, test } from 'vitest';
import { EXIT_STATUS, exitStatusOf } from '../../runtime/cli/exit-status';
import { CliError, UsageError } from '../../runtime/cli/cli-error';
import { PublishError } from '../../runtime/model/publish-error';
import { MODEL_TOOL_ERROR_CODES, ModelToolError } from '../../runtime/model/tool-error';
import { OnnxFileError } from '../../runtime/onnx/onnx-file-error';
import { SigningError } from '../../runtime/signing/signing-error';
import { SpecError } from '../../runtime/spec/errors';

test('statuses are public API: what a script branches on', () => {
  expect(EXIT_STATUS).toEqual({ input: 3, verdict: 4, missing: 5, outside: 6 });
  expect(exitStatusOf(new UsageError('x'))).toBe(2);
  expect(exitStatusOf(new CliError('x'))).toBe(1);
  expect(exitStatusOf(new Error('x'))).toBe(1);
});

test('a failure exits with the status of its kind', () => {
  expect(exitStatusOf(new OnnxFileError('NOT_ONNX', 'a', 'b'))).toBe(3);
  expect(exitStatusOf(new SpecError('MODEL_NAME_INVALID', 'a', 'b'))).toBe(3);
  expect(exitStatusOf(new SpecError('MANIFEST_INVALID', 'a', 'b'))).toBe(3);
  expect(exitStatusOf(new SpecError('REPLICA_RANGE', 'a', 'b'))).toBe(1);
  expect(exitStatusOf(new PublishError('VERSION_EXISTS', 'a', 'b'))).toBe(3);
  expect(exitStatusOf(new PublishError('GOLDEN_RUN_FAILED', 'a', 'b'))).toBe(4);
  expect(exitStatusOf(new PublishError('PACKAGE_MISSING', 'a', 'b'))).toBe(5);
  expect(exitStatusOf(new PublishError('REPOSITORY_UNREACHABLE', 'a', 'b'))).toBe(6);
  expect(exitStatusOf(new SigningError('SIGNING_KEY_INVALID', 'a', 'b'))).toBe(3);
  expect(exitStatusOf(new SigningError('SIGNING_KEY_UNREACHABLE', 'a', 'b'))).toBe(6);
  expect(exitStatusOf(new SigningError('SIGNATURE_WRONG', 'a', 'b'))).toBe(4);
  for (const code of MODEL_TOOL_ERROR_CODES) {
    const error = new ModelToolError(code, 'here', 'said');
    expect(exitStatusOf(error), code).toBe(EXIT_STATUS[error.kind]);
    expect(error.message).toBe(`${code} here: said`);
  }
});
