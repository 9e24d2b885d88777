import { rmSync } from 'node:fs';
import { assertSameResources } from '../../testing';
import { renderService } from '../service-objects';
import type { KubernetesSection, ServiceFile } from '../spec-file';
import { checkPulumi, checkTemplates } from './check-rules';
import { synthesize, templatesIn, type Template } from './cdk-app';
import { dryRun, objectsOfProgram, objectsOfTemplates } from './dry-run';
import { deployToEmulator } from './emulated-deploy';
import { predict } from './predict';
import type { AskedModel } from './proven-models';
import { runProgram, runSpec, type PulumiRuns } from './pulumi-runs';
import { runImage } from './run-image';
import { passed, SkippedStep, type Outcome } from './step';
import type { Target } from './target';
import type { VerifyOptions } from './verify-options';

/** Steps of a verification, in their order. Names are public API. */
export const STEPS = ['program', 'rules', 'cluster', 'emulator', 'image', 'prediction'] as const;
export type StepName = (typeof STEPS)[number];

/** Everything that one verification looks at. What several steps need is made once. */
export class Verification {
  private runs: Promise<PulumiRuns> | undefined;
  private synthesized: Promise<{ output: string; templates: readonly Template[] }> | undefined;

  /** @param service what the spec file says, where the target is one */
  constructor(
    private readonly target: Target,
    private readonly service: ServiceFile | undefined,
    private readonly options: VerifyOptions,
  ) {}

  take(step: StepName): Promise<Outcome> {
    switch (step) {
      case 'program':
        return this.program();
      case 'rules':
        return this.rules();
      case 'cluster':
        return this.cluster();
      case 'emulator':
        return this.emulator();
      case 'image':
        return runImage(this.models(), this.kubernetes().image, this.options.mayPull);
      case 'prediction':
        return predict(this.models());
    }
  }

  /** Removes what was made on the way. */
  async end(): Promise<void> {
    const made = await this.synthesized?.catch(() => undefined);
    if (made !== undefined) rmSync(made.output, { recursive: true, force: true });
  }

  private async program(): Promise<Outcome> {
    if (this.target.kind === 'cdk') {
      const { templates } = await this.templates();
      return passed(`${templates.length} templates are synthesized`);
    }
    const { preview, up } = await this.programRuns();
    assertSameResources(preview, up);
    const count = up.resources.filter(({ custom, type }) => custom && !type.startsWith('pulumi:')).length;
    const warnings = preview.logs.filter(({ severity }) => severity === 'warning').map(({ message }) => message);
    return passed(`preview and up declare the same ${count} resources`, warnings);
  }

  private async rules(): Promise<Outcome> {
    const { except } = this.options;
    if (this.target.kind === 'cdk') return checkTemplates((await this.forLater(this.templates())).templates, except);
    return checkPulumi((await this.forLater(this.programRuns())).preview, except);
  }

  private async cluster(): Promise<Outcome> {
    const objects =
      this.service !== undefined
        ? renderService(this.service).inOrder
        : this.target.kind === 'cdk'
          ? objectsOfTemplates((await this.forLater(this.templates())).templates)
          : objectsOfProgram((await this.forLater(this.programRuns())).up);
    return dryRun(objects, this.options);
  }

  private async emulator(): Promise<Outcome> {
    if (this.target.kind !== 'cdk') {
      throw new SkippedStep('only CloudFormation can be deployed to the emulator, and this is no CDK app');
    }
    const { output, templates } = await this.forLater(this.templates());
    return deployToEmulator(this.target.folder, output, templates, this.options.parameters);
  }

  private models(): readonly AskedModel[] {
    const named = this.options.models.map((file) => (file.endsWith('.json') ? { manifest: file } : { file }));
    const { canary, shadow } = this.kubernetes();
    const inFile = [...(this.service?.spec.models ?? []), ...(canary?.models ?? []), ...(shadow?.models ?? [])];
    const known = inFile.flatMap(({ name, version, manifest, file }): AskedModel[] => {
      if (manifest !== undefined) return [{ manifest }];
      return file === undefined ? [] : [{ file, name, version }];
    });
    return [...named, ...known];
  }

  private kubernetes(): KubernetesSection {
    return this.service?.kubernetes ?? {};
  }

  private programRuns(): Promise<PulumiRuns> {
    this.runs ??=
      this.service === undefined && this.target.kind === 'pulumi'
        ? runProgram(this.target.folder, this.options)
        : runSpec(this.service!);
    return this.runs;
  }

  private templates(): Promise<{ output: string; templates: readonly Template[] }> {
    const { folder, app } = this.target as Target & { kind: 'cdk' };
    this.synthesized ??= synthesize(folder, app).then((output) => ({ output, templates: templatesIn(output) }));
    return this.synthesized;
  }

  /** What the step `program` reports, is not reported again by those that need its result. */
  private async forLater<T>(made: Promise<T>): Promise<T> {
    return made.catch((error: unknown) => {
      throw new SkippedStep(error instanceof SkippedStep ? error.message : 'the program does not run');
    });
  }
}
