import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import {
  assertSucceeded,
  playClouds,
  runPulumiProgram,
  type Properties,
  type PulumiProgramOptions,
  type PulumiRecording,
} from '../../testing';
import { renderService, type FileService } from '../service-objects';
import { missingPackages } from '../deploy/open-stack';
import { SkippedStep } from './step';
import type { VerifyOptions } from './verify-options';

/** What a program declares in a preview, and in the update after it. */
export interface PulumiRuns {
  readonly preview: PulumiRecording;
  readonly up: PulumiRecording;
}

/** Runs what a spec file declares. @throws Error in the words of the program */
export async function runSpec(service: FileService): Promise<PulumiRuns> {
  renderService(service);
  const missing = missingPackages();
  if (missing.length > 0) throw new SkippedStep(`not installed here: ${missing.join(', ')}`);
  return runTwice({
    directory: path.join(__dirname, '../deploy/program'),
    program: '.',
    project: service.spec.name,
    typeCheck: false,
    config: {
      service: JSON.stringify(service),
      // Nobody is asked: the engine here has no cluster.
      cluster: JSON.stringify({ context: 'none' }),
    },
  });
}

/** Runs a program of somebody's own. @throws Error in the words of the program */
export function runProgram(folder: string, options: VerifyOptions): Promise<PulumiRuns> {
  const { resources, functions } = options.answers;
  const clouds = playClouds();
  return runTwice({
    directory: folder,
    stack: options.stack,
    config: { ...stackConfig(folder, options.stack), ...options.config },
    // What somebody said about a type is laid over what its cloud would have answered.
    onResource: async (resource, provider) => {
      const played = await clouds.onResource(resource, provider);
      const { type } = resource;
      return Object.hasOwn(resources, type)
        ? { ...played, state: { ...played?.state, ...(resources[type] as Properties) } }
        : played;
    },
    onInvoke: (invoke, provider) => {
      const { token } = invoke;
      return Object.hasOwn(functions, token) ? (functions[token] as Properties) : clouds.onInvoke(invoke, provider);
    },
  });
}

async function runTwice(options: PulumiProgramOptions): Promise<PulumiRuns> {
  const preview = assertSucceeded(await runPulumiProgram({ ...options, preview: true }));
  // Types were checked by the preview.
  const up = assertSucceeded(await runPulumiProgram({ ...options, typeCheck: false }));
  return { preview, up };
}

/** The configuration of a stack as its file has it; what is encrypted there is some secret text here. */
function stackConfig(folder: string, stack: string): NonNullable<PulumiProgramOptions['config']> {
  const file = path.join(folder, `Pulumi.${stack}.yaml`);
  if (!existsSync(file)) return {};
  const { config } = (parse(readFileSync(file, 'utf8')) ?? {}) as { config?: Record<string, unknown> | null };
  return Object.fromEntries(
    Object.entries(config ?? {}).map(([key, value]) => {
      if (typeof value === 'object' && value !== null) {
        return [key, 'secure' in value ? { secret: 'secret' } : JSON.stringify(value)];
      }
      return [key, String(value)];
    }),
  );
}
