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

/**
 * Templates of all stacks of an example, nested ones included, with the given context and plugins.
 * @throws Error when a plugin finds something
 */
export function synthesize(
  apps: readonly CreateApp[],
  context: Record<string, unknown>,
  newPlugins: (app: App) => readonly IPolicyValidationPlugin[] = () => [],
): { readonly templates: readonly SynthesizedTemplate[]; readonly folders: readonly string[] } {
  const folders = apps.map((createApp) => {
    const app = createApp({ context, outdir: emptyFolder(), analyticsReporting: false });
    const plugins = newPlugins(app);
    if (plugins.length > 0) Validations.of(app).addPlugins(...plugins);
    return app.synth().directory;
  });
  return { templates: folders.flatMap(templatesIn), folders };
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
