import { ModelToolError, type FailureKind } from '../model/tool-error';
import { PublishError, type PublishErrorCode } from '../model/publish-error';
import { OnnxFileError } from '../onnx/onnx-file-error';
import { SigningError, type SigningErrorCode } from '../signing/signing-error';
import { SpecError } from '../spec/errors';
import { CliError } from './cli-error';

/** Exit statuses are public API: scripts and pipelines branch on them. 2, a command line that means nothing, is `UsageError`'s. */
export const EXIT_STATUS: Readonly<Record<FailureKind, number>> = { input: 3, verdict: 4, missing: 5, outside: 6 };

const PUBLISH_KINDS: Readonly<Partial<Record<PublishErrorCode, FailureKind>>> = {
  REPOSITORY_UNREACHABLE: 'outside',
  LABELS_CONTESTED: 'outside',
  MANIFEST_FILE_UNWRITABLE: 'outside',
  PACKAGE_MISSING: 'missing',
  GOLDEN_RUN_FAILED: 'verdict',
  MODEL_NOT_DETERMINISTIC: 'verdict',
  EVALUATION_FAILED: 'verdict',
};

const SIGNING_KINDS: Readonly<Record<SigningErrorCode, FailureKind>> = {
  SIGNING_KEY_INVALID: 'input',
  SIGNING_KEY_UNREACHABLE: 'outside',
  SIGNATURE_MISSING: 'verdict',
  SIGNATURE_WRONG: 'verdict',
};

/** What a model, its manifest or its repository says, as against the spec of a service. */
const OF_MODELS = /^(MODEL|MANIFEST|REPOSITORY_INDEX|VERSION_LABELS)_/;

/** What a failed command exits with: 1 where nothing better is known. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode;
  if (ModelToolError.is(error)) return EXIT_STATUS[error.kind];
  if (PublishError.is(error)) return EXIT_STATUS[PUBLISH_KINDS[error.code] ?? 'input'];
  if (SigningError.is(error)) return EXIT_STATUS[SIGNING_KINDS[error.code]];
  if (SpecError.is(error) && OF_MODELS.test(error.code)) return EXIT_STATUS.input;
  return OnnxFileError.is(error) ? EXIT_STATUS.input : 1;
}
