import { chmodSync, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { publishModel } from '../../model/publish-model';
import { placeOfModel } from '../../onnx/model-place';
import { describeDifference } from '../../onnx/tensor-comparison';
import { decodeTensorData } from '../../onnx/tensor-encoding';
import { readManifestFile } from '../../onnx/read-manifest-file';
import { PATHS } from '../../spec/endpoints';
import type { GoldenOutput, ModelManifest } from '../../spec/model-manifest';
import { versionPrefix } from '../../spec/model-repository';

/** A model that is asked: the path of its ONNX file, or of its manifest. */
export type AskedModel =
  | { readonly file: string; readonly name?: string; readonly version?: number; readonly manifest?: never }
  | { readonly manifest: string; readonly file?: never };

/** A model version on this disk, with a golden proof. */
export interface ProvenModel {
  readonly manifest: ModelManifest;
  /** Its model repository; the version lies in the usual place below it. */
  readonly repository: string;
  readonly folder: string;
}

/**
 * Makes a model servable here: an ONNX file is published into a folder, which proves it; a manifest stands beside its files.
 * @returns a sentence where that cannot be: why the model is not asked
 */
export async function proveModel(model: AskedModel, scratch: string): Promise<ProvenModel | string> {
  if (model.manifest === undefined) {
    const name = model.name ?? placeOfModel(model.file).name;
    const { manifest } = await publishModel({
      source: model.file,
      name,
      repository: scratch,
      version: model.version ?? 1,
    });
    // A container reads it as a user of its own.
    chmodSync(scratch, 0o755);
    return { manifest, repository: scratch, folder: path.join(scratch, versionPrefix(name, manifest.version)) };
  }
  const folder = path.dirname(model.manifest);
  const { manifest } = readManifestFile(model.manifest);
  const named = `${manifest.name} version ${manifest.version}`;
  const missing = manifest.files.find((file) => !existsSync(path.join(folder, file.path)));
  if (missing !== undefined) return `${named}: ${missing.path} is not beside its manifest; give its file with --model`;
  if (manifest.golden === undefined) return `${named}: was published without a golden proof`;
  return { manifest, repository: path.join(folder, '../..'), folder };
}

/** What a server is told, to serve a model: its files are held to the manifest's digests, and the proof is repeated. */
export function referenceTo({ manifest }: ProvenModel, folderUri: string) {
  return { name: manifest.name, version: manifest.version, folder: folderUri };
}

export function folderUri({ folder }: ProvenModel): string {
  return `${pathToFileURL(folder).href.replace(/\/?$/, '')}/`;
}

/**
 * Waits until a server is ready.
 * @throws Error in the server's own words as soon as it says that a model cannot be served, or when it takes too long
 */
export async function waitUntilServed(url: string, seconds: number): Promise<void> {
  const deadline = Date.now() + seconds * 1_000;
  const ask = (path: string) => fetch(url + path, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  while (Date.now() < deadline) {
    if ((await ask(PATHS.ready))?.ok === true) return;
    const index = await ask('/v2/repository/index');
    const entries = index?.ok === true ? ((await index.json()) as IndexEntry[]) : [];
    const broken = entries.find(({ state }) => state === 'UNAVAILABLE');
    if (broken !== undefined) throw new Error(`${broken.name} version ${broken.version}: ${broken.reason}`);
    await sleep(250);
  }
  throw new Error(`the server was not ready within ${seconds} s`);
}

interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

/**
 * Sends the golden input over HTTP, as bytes, and holds the answer against the golden output.
 * @throws Error saying by how much it differs, or what was answered instead
 */
export async function askForGolden(url: string, { manifest, folder }: ProvenModel): Promise<void> {
  const { inputs, outputs } = manifest.golden!;
  const contents = await Promise.all(inputs.map(({ path: name }) => readFile(path.join(folder, name))));
  const header = Buffer.from(
    JSON.stringify({
      inputs: inputs.map(({ name, datatype, shape }, i) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: contents[i]!.byteLength },
      })),
      outputs: outputs.map(({ name }) => ({ name, parameters: { binary_data: true } })),
    }),
  );
  const named = `${manifest.name} version ${manifest.version}`;
  const answer = await fetch(
    `${url}/v2/models/${encodeURIComponent(manifest.name)}/versions/${manifest.version}/infer`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(header.length) },
      body: Buffer.concat([header, ...contents]),
      signal: AbortSignal.timeout(60_000),
    },
  );
  const body = Buffer.from(await answer.arrayBuffer());
  if (!answer.ok) throw new Error(`${named}: the golden input was answered ${answer.status}: ${body.toString('utf8')}`);
  const length = Number(answer.headers.get('inference-header-content-length'));
  const said = JSON.parse(body.subarray(0, length).toString('utf8')) as {
    outputs: { name: string; shape: number[]; parameters: { binary_data_size: number } }[];
  };
  let from = length;
  for (const { name, shape, parameters } of said.outputs) {
    const golden = outputs.find((output) => output.name === name)!;
    const bytes = body.subarray(from, (from += parameters.binary_data_size));
    const difference = await differenceTo(golden, folder, shape, bytes);
    if (difference !== undefined)
      throw new Error(`${named}: output '${name}' differs from the golden one: ${difference}`);
  }
}

async function differenceTo(golden: GoldenOutput, folder: string, shape: readonly number[], bytes: Uint8Array) {
  if (shape.join() !== golden.shape.join()) return `shape [${shape.join(', ')}], expected [${golden.shape.join(', ')}]`;
  const expected = await readFile(path.join(folder, golden.path));
  const [was, is] = [expected, bytes].map((each) => decodeTensorData(golden.datatype, golden.shape, each));
  return describeDifference(golden, was!, is!);
}
