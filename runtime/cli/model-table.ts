import { describeFinding, type Finding } from '../model/doctor';
import type { ModelFacts, TensorSignature } from '../spec/model-facts';
import { formatTable } from './text-table';

/** What a model says about itself: inputs, outputs, opset, weights, operators. */
export function renderModelFacts(facts: ModelFacts, width: number): string {
  const rows = [
    ...facts.inputs.map((tensor) => ['  input', describeTensor(tensor)]),
    ...facts.outputs.map((tensor) => ['  output', describeTensor(tensor)]),
    [
      '  opset',
      facts.opsets.map(({ domain, version }) => `${domain === '' ? 'ai.onnx' : domain} ${version}`).join(', '),
    ],
    ['  weights', formatBytes(facts.weightBytes)],
    ['  files', formatBytes(facts.fileBytes)],
    [
      '  operators',
      facts.operators
        .map(({ domain, operator, count }) => `${domain === '' ? '' : `${domain}.`}${operator} × ${count}`)
        .join(', '),
    ],
  ];
  return formatTable(rows, width);
}

/** One line, or several, for each thing that the doctor found. */
export function renderFindings(findings: readonly Finding[], width: number): string {
  return formatTable(
    findings.map((finding) => [`  ${finding.severity}`, describeFinding(finding)]),
    width,
  );
}

function describeTensor({ name, datatype, shape }: TensorSignature): string {
  return `${name} ${datatype} [${shape.map((dimension) => (dimension === '' ? '?' : dimension)).join(', ')}]`;
}

/** `101.0 KiB` */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]!}`;
}
