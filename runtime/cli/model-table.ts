import { describeFinding, type Finding } from '../model/doctor';
import type { ModelCost } from '../model/cost/model-cost';
import { formatBytes, formatQuantity } from '../model/quantities';
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

/** What one run costs, and which nodes cost most. */
export function renderCost(cost: ModelCost, width: number): string {
  const { batch, parameters, weightBytes, operations, activationBytes, nodes, unknownNodes, assumed } = cost;
  const atBatch = `at batch ${batch}`;
  const costliest = [...nodes].sort((a, b) => (b.operations ?? 0) - (a.operations ?? 0)).slice(0, 3);
  const shares = costliest
    .filter((node) => (node.operations ?? 0) > 0)
    .map((node) => `${node.name} (${node.operator}) ${((node.operations! / operations) * 100).toFixed(0)} %`);
  return formatTable(
    [
      ['  parameters', formatQuantity(parameters)],
      ['  operations', `${formatQuantity(operations)} ${atBatch}; a multiplication and an addition are two`],
      [
        '  memory',
        `${formatBytes(weightBytes + activationBytes)} at least ${atBatch}: weights, and ${formatBytes(activationBytes)} in between`,
      ],
      ...(shares.length === 0 ? [] : [['  costliest', shares.join(', ')]]),
      ...(unknownNodes === 0 ? [] : [['  not counted', `${unknownNodes} nodes, whose shapes show only in a run`]]),
      ...(assumed.length === 0
        ? []
        : [
            [
              '  taken as 1',
              `${assumed.map((name) => (name === '' ? 'a free dimension' : name)).join(', ')}: --dimension`,
            ],
          ]),
    ],
    width,
  );
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
