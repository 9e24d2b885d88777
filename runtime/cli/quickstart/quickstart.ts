import { cpus } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { publishModel } from '../../model/publish-model';
import { readManifestFile } from '../../onnx/read-manifest-file';
import { readOnnxModel } from '../../onnx/read-onnx-model';
import { PORTS } from '../../spec/endpoints';
import { containerEnvironment, writeEnvironment } from '../../spec/environment';
import { planInferenceService, type InferenceServicePlan } from '../../spec/inference-service-plan';
import type { ModelSpec } from '../../spec/inference-service-spec';
import { PLAIN } from '../../spec/late-bound';
import type { Tolerance } from '../../spec/model-manifest';
import { renderModelFacts } from '../model-table';
import { renderPlan } from '../plan-table';
import { formatTable } from '../text-table';
import type { Deployment, DeploymentRequest, QuickstartSpec } from './deployments';
import { prepareDirectory } from './prepare-directory';
import { drawDigit, inferRequest, readHeldOutDigits, type HeldOutDigit } from './held-out-digits';
import { freePort, LocalServer } from '../local-server';
import { Narrator } from './narrator';
import { measure, predict, type Prediction } from './predictions';
import { RemediedError } from '../remedied-error';
import { shellWord } from './shell-word';

export interface QuickstartOptions {
  /** Folder of this package. */
  readonly root: string;
  /** Folder that everything is written to, inside the package; what an earlier run left there is replaced. */
  readonly directory: string;
  /** End after the demonstration instead of serving on. */
  readonly once: boolean;
  /** When the command was typed, and what happened since, in seconds: for the time to the first prediction. */
  readonly startedAt: number;
  readonly preparation: Readonly<Record<string, number>>;
}

const MODEL = 'digits';
/** A clear three; any of the held-out images would do. */
const SHOWN_DIGIT = 50;

/** Shows the whole way once, on this machine: model, plan, publish, serve, predict, measure, and what would be deployed. */
export async function runQuickstart(options: QuickstartOptions): Promise<void> {
  const narrator = new Narrator(6, Math.min(100, Math.max(80, process.stdout.columns ?? 100)));
  const digits = readHeldOutDigits(path.join(options.root, 'models/digits/heldout.json'));
  const shown = digits[SHOWN_DIGIT]!;
  const place = (name: string): string => path.relative(process.cwd(), path.join(options.directory, name));
  prepareDirectory(options, inferRequest([shown]));

  showModelAndPlan(narrator, options.root);
  const { spec, modelFolder } = await publish(narrator, options.root, place);
  const plan = planInferenceService(spec);
  const { server, url } = await start(narrator, options, plan, place);
  server.stopOnSignals(() => narrator.line('draining: finishing what was accepted'));
  try {
    showPrediction(narrator, shown, await predict(url, shown), options);
    await showMeasurement(narrator, url, digits);
    await showDeployments(narrator, { root: options.root, directory: place('deploy'), spec, modelFolder });
    if (!options.once) await serveOn(narrator, server, url, place('digit.json'));
  } catch (error) {
    // Ctrl-C may come at any time; what then fails because the server goes away is no failure.
    if (!server.stopping) throw error;
  } finally {
    if (!server.stopping) server.stop();
    await server.waitForEnd();
  }
  const ended = await server.waitForEnd();
  if (ended !== 0) throw new RemediedError(`the server ended with ${ended}`, `its log is ${place('server.log')}`);
  if (!options.once) narrator.line('drained, bye');
}

function specOf(model: ModelSpec): QuickstartSpec {
  return { name: MODEL, models: [model], preset: 'development' };
}

function showModelAndPlan(narrator: Narrator, root: string): void {
  const file = path.join(root, 'models/digits/model.onnx');
  narrator.begin('The sample model: a handwritten digit classifier');
  const { facts } = readOnnxModel(file);
  narrator.line(`  file       ${path.relative(process.cwd(), file)}`);
  narrator.line(renderModelFacts(facts, narrator.width));
  narrator.line('  data       load_digits (UCI Handwritten Digits), licensed CC BY 4.0');

  narrator.begin('The plan made from it: every number, and where it comes from');
  const spec = specOf({ name: MODEL, version: 1, facts });
  narrator.line(renderPlan(spec, planInferenceService(spec), narrator.width));
}

async function publish(narrator: Narrator, root: string, place: (name: string) => string) {
  narrator.begin('Publish it into a local model bucket, with the code that publishes to S3');
  const { manifest, uri } = await publishModel({
    source: path.join(root, 'models/digits/model.onnx'),
    name: MODEL,
    version: 1,
    repository: place('models'),
    goldenFile: place('digit.json'),
  });
  const modelFolder = place(`models/${MODEL}/1`);
  const golden = manifest.golden!;
  const rows = [
    ...manifest.files.map(({ path: name, sha256 }) => [`  ${name}`, `sha256 ${sha256.slice(0, 32)}…`]),
    ['  manifest.json', 'written last: a version that has one is complete'],
    ...golden.outputs.map(({ name, tolerance }) => ['  golden proof', describeProof(name, tolerance)]),
  ];
  narrator.line(`  ${uri}`);
  narrator.line(formatTable(rows, narrator.width));
  const published = readManifestFile(path.join(modelFolder, 'manifest.json'));
  return {
    modelFolder,
    spec: specOf({ name: MODEL, version: 1, facts: published.manifest.facts, files: published.files }),
  };
}

function describeProof(output: string, tolerance: Tolerance): string {
  const rule =
    tolerance.kind === 'elementwise' ? `${tolerance.absolute} + ${tolerance.relative} × value` : tolerance.kind;
  return `before it is ready, a replica repeats '${output}' within ${rule}`;
}

async function start(
  narrator: Narrator,
  options: QuickstartOptions,
  plan: InferenceServicePlan,
  place: (name: string) => string,
) {
  narrator.begin('Serve it, with the environment that the plan gives a container');
  const httpPort = await freePort(PORTS.http);
  const grpcPort = await freePort(PORTS.grpc);
  const metricsPort = await freePort(PORTS.metrics);
  const folder = `${pathToFileURL(path.resolve(place(`models/${MODEL}/1`))).href}/`;
  const planned = containerEnvironment<string>(plan, {
    ...PLAIN,
    models: { [MODEL]: { folder } },
    clusterName: 'local',
    cloudwatchMetrics: false,
  });
  const here = writeEnvironment({
    ...(httpPort === PORTS.http ? {} : { httpPort }),
    ...(grpcPort === PORTS.grpc ? {} : { grpcPort }),
    ...(metricsPort === PORTS.metrics ? {} : { metricsPort }),
    deregistrationLagSeconds: 0,
  });
  const rows = Object.entries({ ...planned, ...here }).map(([name, value]) => {
    const note = name in here ? (name in planned ? `  (here, planned ${planned[name]})` : '  (here)') : '';
    return [`  ${name}`, `${shorten(value, narrator.width - 42)}${note}`];
  });
  narrator.line(formatTable(rows, narrator.width));
  narrator.line('  No load balancer stands in front here, so a drain waits for none: lag 0.');
  for (const [wanted, got] of [
    [PORTS.http, httpPort],
    [PORTS.grpc, grpcPort],
    [PORTS.metrics, metricsPort],
  ]) {
    if (wanted !== got) narrator.line(`  Port ${wanted} is taken on this machine, ${got} is used instead.`);
  }
  const server = new LocalServer({
    bundle: path.join(options.root, 'dist/server.mjs'),
    environment: { ...planned, ...here },
    httpPort,
    logFile: place('server.log'),
  });
  try {
    const seconds = await server.waitUntilReady(plan.lifecycle.startupBudgetSeconds);
    narrator.line('');
    const budget = plan.lifecycle.startupBudgetSeconds;
    narrator.line(`  ready after ${seconds.toFixed(1)} s of the ${budget} s budgeted, golden proof passed`);
    narrator.line(
      `  inference ${server.url}    gRPC 127.0.0.1:${grpcPort}    metrics http://127.0.0.1:${metricsPort}/metrics`,
    );
    narrator.line(`  log       ${place('server.log')}`);
  } catch (error) {
    server.stop();
    throw error;
  }
  return { server, url: `${server.url}/v2/models/${MODEL}/infer` };
}

// The value of SLIPWAY_MODELS names every file by digest and is as long as it sounds.
function shorten(value: string, length: number): string {
  return value.length > length ? `${value.slice(0, length - 1)}…` : value;
}

function showPrediction(
  narrator: Narrator,
  digit: HeldOutDigit,
  prediction: Prediction,
  { startedAt, preparation }: QuickstartOptions,
): void {
  narrator.begin('Predict: one handwritten digit that the training never saw, over HTTP');
  const likely = prediction.probabilities
    .map((probability, value) => ({ value, probability }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, 3);
  const beside = [
    '',
    `answer        ${narrator.bold(String(prediction.digit))}`,
    `probability   ${percent(prediction.probability)}`,
    `its writer    meant a ${digit.label} (held-out image ${digit.index})`,
    '',
    ...likely.map(({ value, probability }) => {
      const bar = '█'.repeat(Math.round(probability * 24));
      return `${value} ${percent(probability).padStart(7)} ${bar}`.trimEnd();
    }),
  ];
  drawDigit(digit).forEach((row, i) => narrator.line(`  ${row}   ${beside[i] ?? ''}`.trimEnd()));
  const parts = Object.entries(preparation).map(([what, seconds]) => `${what} ${seconds.toFixed(1)} s`);
  const elapsed = ((Date.now() - startedAt) / 1_000).toFixed(1);
  narrator.line('');
  narrator.line(
    `  First prediction ${elapsed} s after the start of this command${parts.length === 0 ? '' : ` (${parts.join(', ')})`}.`,
  );
}

async function showMeasurement(narrator: Narrator, url: string, digits: readonly HeldOutDigit[]): Promise<void> {
  const { requests, p50Milliseconds, p99Milliseconds, right, seconds } = await measure(url, digits);
  const latency = `p50 ${p50Milliseconds.toFixed(2)} ms, p99 ${p99Milliseconds.toFixed(2)} ms`;
  narrator.line(`  ${requests} requests, one after another, one row each: ${latency}`);
  narrator.line(`  ${Math.round(requests / seconds)} requests/s, ${right} of ${requests} held-out digits read right`);
  narrator.line(`  Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? process.arch}`);
}

async function showDeployments(narrator: Narrator, request: DeploymentRequest): Promise<void> {
  narrator.begin('What each engine would deploy for the very same spec; nothing was created');
  const { synthesizeCloudFormation } = await import('./synthesize-cloudformation.js');
  const { renderKubernetes } = await import('./render-kubernetes.js');
  const { previewPulumi } = await import('./preview-pulumi.js');
  const into = (name: string): DeploymentRequest => ({ ...request, directory: path.join(request.directory, name) });
  show(narrator, synthesizeCloudFormation(into('cdk')));
  show(narrator, renderKubernetes(into('kubernetes')));
  show(narrator, await previewPulumi(into('pulumi')));
}

function show(narrator: Narrator, { engine, resources, file, note, next }: Deployment): void {
  narrator.line(`  ${narrator.bold(engine)}: ${resources} resources in ${path.relative(process.cwd(), file)}`);
  narrator.line(`    ${note}`);
  next.forEach((line, i) => narrator.line(`    ${i === 0 ? 'next: ' : '      '}${line}`));
}

async function serveOn(narrator: Narrator, server: LocalServer, url: string, digitFile: string): Promise<void> {
  narrator.line('');
  narrator.line(narrator.bold('Serving until Ctrl-C. In another terminal:'));
  narrator.line('');
  narrator.line(`curl -s ${url} -d @${shellWord(path.resolve(digitFile))}`);
  narrator.line('');
  const ended = await server.waitForEnd();
  if (!server.stopping) throw new RemediedError(`the server ended by itself with ${ended}`, 'see its log');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
