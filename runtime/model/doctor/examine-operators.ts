import type { ModelOutline } from '../../onnx/read-model-outline';
import { MAX_OPSETS } from '../../spec/defaults';
import type { Finding } from './finding';

/** Domains that onnxruntime has beside those of `MAX_OPSETS`; models name them without using them. */
const OTHER_DOMAINS = new Set([
  'ai.onnx.training',
  'ai.onnx.preview.training',
  'com.microsoft.experimental',
  'com.microsoft.nchwc',
  'com.ms.internal.nhwc',
  'org.pytorch.aten',
]);

/** Operator sets that the onnxruntime of this release does not know. */
export function examineOperators({ opsets, operators }: ModelOutline): readonly Finding[] {
  const findings: Finding[] = [];
  for (const { domain, version } of opsets) {
    const highest = Object.hasOwn(MAX_OPSETS, domain) ? MAX_OPSETS[domain]! : undefined;
    if (highest === undefined || version <= highest) continue;
    findings.push({
      code: 'opset-too-new',
      severity: 'error',
      message: `the model needs opset ${version} of ${domain === '' ? 'ai.onnx' : domain}, onnxruntime here knows ${highest}`,
      suggestion: `export it with opset ${highest} or lower, or convert it with onnx.version_converter`,
    });
  }
  const unknown = operators.filter(({ domain }) => !Object.hasOwn(MAX_OPSETS, domain) && !OTHER_DOMAINS.has(domain));
  for (const domain of new Set(unknown.map((use) => use.domain))) {
    const names = unknown.filter((use) => use.domain === domain).map(({ operator }) => operator);
    findings.push({
      code: 'domain-unknown',
      severity: 'warning',
      message: `onnxruntime has no operators of domain '${domain}', and the model uses ${names.slice(0, 3).join(', ')}`,
      suggestion: 'export it with standard operators: libraries of custom operators are not loaded',
    });
  }
  return findings;
}
