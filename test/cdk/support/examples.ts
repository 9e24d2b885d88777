import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Validations, type App, type AppProps, type IPolicyValidationPlugin } from 'aws-cdk-lib';
import { emptyFolder } from './cdk-cli';

const EXAMPLES = join(__dirname, '../../../cdk/examples');
const TEMPLATE = '.template.json';

/** Makes one app; it has no effect but that. */
export type CreateApp = (props?: AppProps) => App;

export interface SynthesizedTemplate {
  readonly stack: string;
  /** Where it lies, as the CLI would read it. */
  readonly path: string;
  readonly text: string;
}

export interface PluginReport {
  readonly pluginName: string;
  readonly violations: readonly Violation[];
  readonly suppressedViolations?: readonly (Violation & { readonly reason: string })[];
}

interface Violation {
  readonly ruleName: string;
  readonly description: string;
  readonly violatingConstructs: readonly { readonly constructPath: string }[];
}

/** Names of all examples: the folders of `cdk/examples` that hold an `app.ts`. A new one is found by itself. */
export function exampleNames(): readonly string[] {
  return readdirSync(EXAMPLES)
    .filter((name) => existsSync(join(EXAMPLES, name, 'app.ts')))
    .sort();
}

/** The apps of an example: what `app.ts` exports as `create…App`. Most have one, `createApp`. */
export async function loadExample(name: string): Promise<readonly CreateApp[]> {
  const exported = (await import(join(EXAMPLES, name, 'app.ts'))) as Record<string, unknown>;
  const names = Object.keys(exported).filter((key) => /^create\w*App$/.test(key));
  if (names.length === 0) throw new Error(`cdk/examples/${name}/app.ts must export createApp(props?: AppProps): App`);
  return names.sort().map((key) => exported[key] as CreateApp);
}

/** Synthesizes one app. @returns the folder, as the CLI takes it for an app */
export function synthesizeInto(createApp: CreateApp, context: Record<string, unknown>): string {
  return newApp(createApp, context).synth().directory;
}

/** Templates of all stacks of an example, nested ones included. */
export function synthesize(
  apps: readonly CreateApp[],
  context: Record<string, unknown>,
): readonly SynthesizedTemplate[] {
  return apps.flatMap((createApp) => templatesIn(synthesizeInto(createApp, context)));
}

/** What plugins say of the apps of an example. */
export function validate(
  apps: readonly CreateApp[],
  context: Record<string, unknown>,
  newPlugins: (app: App) => readonly IPolicyValidationPlugin[],
): readonly PluginReport[] {
  return apps.flatMap((createApp) => {
    const app = newApp(createApp, context);
    Validations.of(app).addPlugins(...newPlugins(app));
    const report = join(app.outdir, 'validation-report.json');
    try {
      app.synth();
    } catch (error) {
      // Findings are thrown, as one long text, after they are written.
      if (!existsSync(report)) throw error;
    }
    if (!existsSync(report)) return [];
    return (JSON.parse(readFileSync(report, 'utf8')) as { pluginReports: readonly PluginReport[] }).pluginReports;
  });
}

/** One line for each finding: the rule, where, and what it says. */
export function linesOf({ violations }: PluginReport): readonly string[] {
  return violations.flatMap(({ ruleName, description, violatingConstructs }) =>
    violatingConstructs.map(({ constructPath }) => `${ruleName} ${constructPath}: ${description}`),
  );
}

function newApp(createApp: CreateApp, context: Record<string, unknown>): App {
  return createApp({ context, outdir: emptyFolder(), analyticsReporting: false });
}

function templatesIn(folder: string): readonly SynthesizedTemplate[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(TEMPLATE) && !name.startsWith('asset.'))
    .sort()
    .map((name) => {
      const path = join(folder, name);
      return { stack: basename(name, TEMPLATE), path, text: readFileSync(path, 'utf8') };
    });
}
