import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ERRORS } from '../../runtime/server/errors';
import { ENVIRONMENT, flagOfVariable, type EnvironmentVariable } from '../../runtime/spec/environment';
import {
  CLOUDWATCH_METRICS,
  METRICS,
  OUTCOMES,
  PORT_LABELS,
  PROTOCOLS,
  UNAUTHORIZED_REASONS,
} from '../../runtime/spec/metric-names';
import { POLICY_RULES } from '../../pulumi/policy';
import { identityModel } from '../support/onnx-models';
import { plainRepository } from '../server/harness/model-repository';
import { startServer } from '../server/harness/running-server';

const ROOT = join(__dirname, '../..');
const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8');

/** The rows of the table with these headings, by cells. */
function tableOf(page: string, headings: string): readonly (readonly string[])[] {
  const lines = read(page).split('\n');
  const from = lines.indexOf(headings) + 2;
  expect(from, `${page} has a table ${headings}`).toBeGreaterThan(1);
  const length = lines.slice(from).findIndex((line) => !line.startsWith('|'));
  return lines.slice(from, from + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const words = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);

test('docs/environment.md has every variable; npx vitest run test/docs -u writes it anew', async () => {
  const rows = Object.values(ENVIRONMENT).map((row: EnvironmentVariable) =>
    [`\`${row.variable}\``, defaultOf(row), valuesOf(row), row.description.replaceAll('|', '\\|')].join(' | '),
  );
  const page = [
    '# Environment of the server',
    '',
    'Made from `runtime/spec/environment.ts`, where every variable is one row. A flag of `slipway serve` is the variable of the same name:',
    `\`SLIPWAY_HTTP_PORT\` is \`${flagOfVariable('SLIPWAY_HTTP_PORT')}\`, and a flag wins. A variable that begins with \`SLIPWAY_\` and is not here ends the start,`,
    'with the nearest name that there is. An empty value is none.',
    '',
    '| variable | default | values | |',
    '|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
    '',
  ].join('\n');
  await expect(page).toMatchFileSnapshot(join(ROOT, 'docs/environment.md'));
});

function defaultOf({ default: value }: EnvironmentVariable): string {
  return value === undefined ? '' : `\`${String(value)}\``;
}

function valuesOf(row: EnvironmentVariable): string {
  switch (row.type) {
    case 'choice':
      return row.choices.map((choice) => `\`${choice}\``).join(', ');
    case 'integer':
      return `${row.min} to ${row.max}, whole`;
    case 'number':
      return `${row.min} to ${row.max}`;
    case 'boolean':
      return '`true`, `false`';
    case 'string':
      return 'text';
  }
}

test('docs/operations.md has every metric', () => {
  const rows = tableOf('docs/operations.md', '| metric | labels | what |');
  expect(rows.map(([metric]) => words(metric!)[0]).sort()).toEqual(Object.values(METRICS).sort());
});

test('docs/operations.md has every value of every closed label', () => {
  const rows = tableOf('docs/operations.md', '| label | values |');
  expect(Object.fromEntries(rows.map(([label, values]) => [words(label!)[0], words(values!)]))).toEqual({
    protocol: PROTOCOLS,
    outcome: OUTCOMES,
    port: PORT_LABELS,
    reason: UNAUTHORIZED_REASONS,
  });
});

test('the labels that docs/operations.md names are those of a server that has answered', async () => {
  const server = await startServer({ modelRepository: plainRepository({ identity: identityModel() }) });
  await server.post('/v2/models/nobody/infer', {});
  const request = { inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] };
  await server.infer('identity', request);
  const text = await (await fetch(`${server.metricsUrl}/metrics`)).text();
  const labels = new Map<string, readonly string[]>();
  for (const [, name, inside] of text.matchAll(/^(slipway_\w+)\{([^}]*)\}/gm)) {
    const own = [...inside!.matchAll(/(\w+)="/g)].map(([, label]) => label!).filter((label) => label !== 'le');
    labels.set(name!.replace(/_(bucket|sum|count)$/, ''), own);
  }
  const rows = tableOf('docs/operations.md', '| metric | labels | what |');
  const shown = new Map(rows.map(([metric, cell]) => [words(metric!)[0]!, words(cell!)]));
  // Reloads are counted when there is one, and GPUs where there are some.
  expect(labels.size).toBeGreaterThan(15);
  for (const [name, own] of labels) expect([name, shown.get(name)]).toEqual([name, own]);
});

const GRPC_STATUSES: Readonly<Record<number, string>> = {
  1: 'CANCELLED',
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  6: 'ALREADY_EXISTS',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

test('docs/server.md has every status that a request can end with', () => {
  const rows = tableOf('docs/server.md', '| HTTP | gRPC | what happened | what to do |');
  const shown = rows.map(([http, grpc]) => [Number(http), grpc!.split(', ').sort()]);
  const byStatus = new Map<number, Set<string>>();
  for (const { status, grpcStatus } of Object.values(ERRORS)) {
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(GRPC_STATUSES[grpcStatus]!));
  }
  expect(shown).toEqual([...byStatus].sort(([a], [b]) => a - b).map(([status, names]) => [status, [...names].sort()]));
});

test('the variables that the pages speak of are read by the server', () => {
  const variables: readonly string[] = Object.values(ENVIRONMENT).map(({ variable }) => variable);
  const pages = ['server', 'operations', 'hooks', 'model-repository', 'model-configuration', 'architecture'];
  for (const page of [...pages.map((name) => `docs/${name}.md`), 'README.md']) {
    for (const [variable] of read(page).matchAll(/\bSLIPWAY_[A-Z0-9_]*[A-Z0-9]\b/g)) {
      expect(variables, `${page}: ${variable}`).toContain(variable);
    }
  }
});

test('docs/operations.md has every metric of CloudWatch with its unit, in the order of the line', () => {
  const rows = tableOf('docs/operations.md', '| in CloudWatch | unit | of the ten seconds |');
  expect(rows.map(([name, unit]) => [words(name!)[0], unit])).toEqual(
    CLOUDWATCH_METRICS.map(({ name, unit }) => [name, unit]),
  );
});

test('docs/pulumi/policy.md has every policy, its level and its setting', () => {
  const rows = tableOf('docs/pulumi/policy.md', '| policy | level | what must hold |');
  expect(rows).toEqual(
    POLICY_RULES.map(({ id, level, description, setting }) => [
      `\`${id}\``,
      level,
      `${description}${setting === undefined ? '' : ` Setting: \`${setting}\`.`}`,
    ]),
  );
});

test('docs/pulumi/clouds.md has every argument that not every cloud takes', () => {
  const { resources } = JSON.parse(read('pulumi/plugin/schema.json')) as {
    readonly resources: Readonly<Record<string, { readonly inputProperties: object }>>;
  };
  const headings = '| component | AWS | Google Cloud | Azure | Alibaba Cloud | Tencent Cloud |';
  const rows = tableOf('docs/pulumi/clouds.md', headings).map((cells) => cells.map(words));
  const components = ['Cluster', 'GpuInstanceGroup', 'ImageRepository', 'ModelBucket', 'WorkloadIdentity'];
  const expected = components.map((component) => {
    const taken = ['aws', 'gcp', 'azure', 'alibaba', 'tencent'].map((cloud) =>
      Object.keys(resources[`slipway:${cloud}:${component}`]!.inputProperties),
    );
    return [
      [component],
      ...taken.map((names) => names.filter((name) => !taken.every((others) => others.includes(name))).sort()),
    ];
  });
  expect(rows.map((cells) => cells.map((names) => [...names].sort()))).toEqual(expected);
});
