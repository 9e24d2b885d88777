import type { Logger } from 'pino';
import { describeFinding, examineModel, type Finding } from '../model/doctor';
import { OnnxFileError } from '../onnx/onnx-file-error';
import { readModelOutline } from '../onnx/read-model-outline';
import type { ExecutionProvider } from '../spec/inference-service-spec';
import type { FetchedModel } from './fetch-model';
import { ModelError } from './model-error';

/**
 * Has the doctor look at a model before it is opened. Warnings go to the log, one line each.
 * @throws ModelError with the doctor's reason for a model that cannot be served.
 */
export function examineFetched(
  { modelPath }: Pick<FetchedModel, 'modelPath'>,
  executionProvider: ExecutionProvider,
  log: Logger,
): readonly Finding[] {
  const findings = lookAt(modelPath, executionProvider);
  const refusal = findings.find(({ severity }) => severity === 'error');
  if (refusal !== undefined) throw new ModelError(describeFinding(refusal));
  for (const finding of findings) logFinding(finding, log);
  return findings;
}

function logFinding(finding: Finding, log: Logger): void {
  const level = finding.severity === 'info' ? 'debug' : 'warn';
  log[level]({ finding: finding.code, reason: describeFinding(finding) }, 'the model doctor found something');
}

/** As the Open Inference Protocol has them in a model's metadata: text by name. */
export function findingProperties(findings: readonly Finding[]): Readonly<Record<string, string>> {
  return Object.fromEntries(findings.map((finding) => [`slipway.doctor.${finding.code}`, describeFinding(finding)]));
}

function lookAt(modelPath: string, executionProvider: ExecutionProvider): readonly Finding[] {
  try {
    return examineModel(readModelOutline(modelPath), { executionProvider });
  } catch (error) {
    // Not the doctor's to refuse: the runtime reads the file itself, and says what is wrong with it.
    if (OnnxFileError.is(error)) return [];
    throw error;
  }
}
