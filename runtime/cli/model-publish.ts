import { existsSync } from 'node:fs';
import type { PublishOptions } from '../model/publish-model';
import type { Tolerance } from '../spec/model-manifest';
import { assertModelName } from '../spec/model-repository';
import { UsageError } from './cli-error';
import type { Command, ParsedArguments } from './command';
import { uploadLines } from './upload-lines';

/** `slipway model publish`: one model version into a model repository, with its golden proof. Prints its folder. */
export const modelPublish: Command = {
  arguments: [
    { name: 'file', description: 'an ONNX file, its external data beside it' },
    {
      name: 'model repository',
      description:
        'a directory, s3://bucket/prefix, gs://, oss://, cos://, az://account/container/prefix or oci://registry/repository',
    },
  ],
  options: {
    name: {
      type: 'string',
      value: 'name',
      description: "name of the model (from the file's place: digits/model.onnx)",
    },
    version: { type: 'string', value: 'number', description: 'version (one more than the highest that is there)' },
    golden: {
      type: 'string',
      value: 'file',
      description:
        'input of the golden proof: a request in the Open Inference Protocol, or with preprocessing a picture, a .txt, a record as JSON (made from the signature)',
    },
    'no-golden': { type: 'boolean', description: 'leave the golden proof out: replicas then only warm up' },
    tolerance: {
      type: 'string',
      value: 'output=rule',
      multiple: true,
      description:
        'how closely replicas must repeat an output: top1, exact, or <absolute>,<relative> (by datatype, top1 when quantized)',
    },
    config: {
      type: 'string',
      value: 'file',
      description: "the model's configuration: config.pbtxt, or the same as JSON (the graph decides)",
    },
    hooks: {
      type: 'string',
      value: 'file',
      description: 'an ES module to run before and after the model, where servers have SLIPWAY_HOOKS (none)',
    },
    labels: {
      type: 'string',
      value: '[output=]file',
      description:
        'names of classes, one per line, of the output whose label_filename in the configuration names the file, else of the one that has so many (none)',
    },
    preprocessing: {
      type: 'string',
      value: 'file',
      description: 'how pictures, text or records become inputs, in JSON or YAML (users send tensors)',
    },
    evaluation: {
      type: 'string',
      value: 'file',
      description: 'evidence from slipway model evaluate about this very file (none)',
    },
    licence: { type: 'string', value: 'expression', description: 'SPDX licence expression, such as Apache-2.0 (none)' },
    'sign-key': {
      type: 'string',
      value: 'key',
      description: 'sign the manifest: a private key on P-256 as PEM, or awskms:///<key> (it is not signed)',
    },
    sbom: { type: 'boolean', description: 'leave a bill of materials (CycloneDX 1.6) beside the model' },
    'manifest-file': {
      type: 'string',
      value: 'path',
      description: 'where to leave a copy of the manifest, for the infrastructure program',
    },
    json: { type: 'boolean', description: 'print what was published, with the digests of its files, as JSON' },
  },
  details:
    'A version that is there is never changed. Started again after it was ended, it sends what is missing. Needs onnxruntime-node, ' +
    'and @aws-sdk/client-kms for awskms://.',
  run: async (given, terminal) => {
    const { publishModel } = await import('../model/publish-model.js');
    const { placeOfModel } = await import('../onnx/model-place.js');
    const source = given.argument('file');
    const version = readVersion(given);
    const goldenFile = given.text('golden');
    const manifestFile = given.text('manifest-file');
    const tolerances = readTolerances(given);
    if (goldenFile !== undefined && given.flag('no-golden')) {
      throw new UsageError('--golden and --no-golden contradict each other');
    }
    const files = readFiles(given);
    const signKey = given.text('sign-key');
    const { manifest, manifestSha256, uri, indexFailure, signedBy } = await publishModel({
      source,
      name: given.text('name') ?? acceptedByPlace(placeOfModel(source).name),
      repository: given.argument('model repository'),
      ...(version === undefined ? {} : { version }),
      ...(given.flag('no-golden') ? { golden: false } : {}),
      ...(goldenFile === undefined ? {} : { goldenFile }),
      ...(tolerances === undefined ? {} : { tolerances }),
      ...(manifestFile === undefined ? {} : { manifestFile }),
      ...(signKey === undefined ? {} : { signKey }),
      ...(given.flag('sbom') ? { sbom: true } : {}),
      onBytes: uploadLines(terminal),
      ...files,
    });
    const published = { uri, name: manifest.name, version: manifest.version, manifestSha256, signedBy, indexFailure };
    terminal.out(given.flag('json') ? JSON.stringify({ ...published, files: manifest.files }, undefined, 2) : uri);
    terminal.err(`${manifest.name} version ${manifest.version}, manifest sha256 ${manifestSha256}`);
    if (signedBy !== undefined) terminal.err(`signed by the key sha256:${signedBy}`);
    if (indexFailure !== undefined) {
      terminal.err(
        `warning: published, and not entered in the repository's index, so servers with hot reload find it later: ${indexFailure}`,
      );
    }
  },
};

// Nobody typed this name: a refusal says where it comes from and what to type.
function acceptedByPlace(name: string): string {
  assertModelName(name, '--name, which is here taken from the place of the file');
  return name;
}

type FileOptions = Pick<
  PublishOptions,
  'configFile' | 'hooksFile' | 'labelsFile' | 'labelsOutput' | 'preprocessingFile' | 'evaluationFile' | 'licence'
>;

function readFiles(given: ParsedArguments): FileOptions {
  const [configFile, hooksFile, labels, preprocessingFile, evaluationFile, licence] = [
    'config',
    'hooks',
    'labels',
    'preprocessing',
    'evaluation',
    'licence',
  ].map((option) => given.text(option));
  return {
    ...(configFile === undefined ? {} : { configFile }),
    ...(hooksFile === undefined ? {} : { hooksFile }),
    ...(labels === undefined ? {} : readLabels(labels)),
    ...(preprocessingFile === undefined ? {} : { preprocessingFile }),
    ...(evaluationFile === undefined ? {} : { evaluationFile }),
    ...(licence === undefined ? {} : { licence }),
  };
}

/** `labels.txt`, or `scores=labels.txt`; a file may have the sign in its name as well. */
function readLabels(text: string): Pick<PublishOptions, 'labelsFile' | 'labelsOutput'> {
  const at = text.indexOf('=');
  if (at < 1 || existsSync(text)) return { labelsFile: text };
  return { labelsOutput: text.slice(0, at), labelsFile: text.slice(at + 1) };
}

function readVersion(given: ParsedArguments): number | undefined {
  const text = given.text('version');
  if (text === undefined) return undefined;
  if (!/^[1-9][0-9]*$/.test(text)) throw new UsageError(`--version must be a whole number from 1 up, got '${text}'`);
  return Number(text);
}

function readTolerances(given: ParsedArguments): Record<string, Tolerance> | undefined {
  const pairs = given.texts('tolerance');
  if (pairs.length === 0) return undefined;
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.lastIndexOf('=');
      const tolerance = at < 1 ? undefined : parseTolerance(pair.slice(at + 1));
      if (tolerance === undefined) {
        throw new UsageError(
          `--tolerance must be <output>=top1, <output>=exact or <output>=<absolute>,<relative>, got '${pair}'`,
        );
      }
      return [pair.slice(0, at), tolerance];
    }),
  );
}

function parseTolerance(rule: string): Tolerance | undefined {
  if (rule === 'top1' || rule === 'exact') return { kind: rule };
  const match = /^([0-9.e-]+),([0-9.e-]+)$/.exec(rule);
  const [absolute, relative] = [Number(match?.[1]), Number(match?.[2])];
  return Number.isFinite(absolute) && Number.isFinite(relative)
    ? { kind: 'elementwise', absolute, relative }
    : undefined;
}
